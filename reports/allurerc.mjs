// Allure 3: what the HTML report shows. `muster report` runs it and passes the places in the environment.
export default {
  name: process.env.MUSTER_REPORT_NAME ?? "Muster",
  output: process.env.MUSTER_REPORT_OUTPUT ?? "html",
  historyPath: process.env.MUSTER_REPORT_HISTORY ?? "history.jsonl",
  historyLimit: 20,
  hideLabels: ["parentSuite", "suite", "subSuite", "package", "host", "thread", "framework", "language"], // pytest's own
  appendHistory: false, // `muster report` adds each earlier run itself, once
  categories: [
    { name: "Does not hold: a claim of the runbook is false", matchedStatuses: ["failed"] },
    { name: "Unknown: no data is never a pass", matchedStatuses: ["broken"] },
    { name: "Flaky: its verdict changes from run to run", flaky: true },
  ],
  plugins: {
    awesome: {
      options: {
        reportName: process.env.MUSTER_REPORT_NAME ?? "Muster",
        groupBy: ["epic", "feature"], // not by story: a check of a section with three alerts would stand there thrice
        reportLanguage: "en",
      },
    },
  },
};

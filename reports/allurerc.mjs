// Allure 3: what the HTML report shows. `muster report` runs it and passes the places in the environment.
export default {
  name: process.env.MUSTER_REPORT_NAME ?? "Muster",
  output: process.env.MUSTER_REPORT_OUTPUT ?? "html",
  historyPath: process.env.MUSTER_REPORT_HISTORY ?? "history.jsonl",
  historyLimit: 20,
  appendHistory: false, // `muster report` adds each earlier run itself, once
  categories: [
    { name: "Does not hold: a claim of the runbook is false", matchedStatuses: ["failed"] },
    { name: "Unknown: no data is never a pass", matchedStatuses: ["broken"] },
  ],
  plugins: {
    awesome: {
      options: {
        reportName: process.env.MUSTER_REPORT_NAME ?? "Muster",
        groupBy: ["epic", "feature", "story"],
        reportLanguage: "en",
      },
    },
  },
};

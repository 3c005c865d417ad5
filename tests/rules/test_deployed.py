"""What is committed below deploy/ fits together: routes lead to the responder that stands there, pages to a runbook."""

from urllib.parse import urlsplit

import pytest
import yaml

from muster.rules import doubts, render
from muster.rules.prometheus import prometheus_rule
from muster.system.environment import Environment


@pytest.fixture(scope="module")
def routes(root):
    return yaml.safe_load((root / "deploy/rules/alertmanager.yml").read_text())


@pytest.fixture(scope="module")
def fragment(root):
    return yaml.safe_load((root / "deploy/responder/alertmanager.yaml").read_text())


@pytest.fixture(scope="module")
def manifests(root):
    return list(yaml.safe_load_all((root / "deploy/responder/responder.yaml").read_text()))


def hook_of(configuration):
    (hook,) = [one for made in configuration["receivers"] if made["name"].endswith("/responder")
               for one in made["webhook_configs"]]  # fmt: skip
    return hook


def test_the_webhook_is_the_service_that_is_deployed(routes, manifests):
    """Name, namespace and port: another namespace is a name that no DNS knows, and no alert would roll back."""
    (service,) = [one for one in manifests if one["kind"] == "Service"]
    at, url = service["metadata"], urlsplit(hook_of(routes)["url"])
    assert url.hostname == f"{at['name']}.{at['namespace']}.svc"
    assert url.port in {port["port"] for port in service["spec"]["ports"]}
    assert url.path == "/alerts"


def test_the_service_leads_to_the_pods_beside_it(manifests, staging):
    """All of it stands in the workload's namespace, where its role and the lock's Lease are."""
    by_kind = {one["kind"]: one for one in manifests}
    template = by_kind["Deployment"]["spec"]["template"]
    assert by_kind["Service"]["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert {one["metadata"]["namespace"] for one in manifests} == {staging.kubernetes.namespace}


def test_the_fragment_for_others_configurations_is_what_is_rendered(routes, fragment):
    """The route to the responder and its receiver, by themselves: they say nothing else than the whole."""
    route, last = fragment["route"]["routes"]
    own = routes["route"]["routes"][0]
    rendered = next(one for one in own["routes"] if one["receiver"] == route["receiver"])
    assert route == {**rendered, "group_by": own["group_by"], "matchers": [*own["matchers"], *rendered["matchers"]]}
    assert last == {"matchers": route["matchers"]}
    assert fragment["receivers"] == [one for one in routes["receivers"] if one["name"] == route["receiver"]]


@pytest.mark.parametrize(("labels", "told"), [({"team": "mesh"}, "mesh"), ({}, "all")])
def test_the_fragment_takes_no_alert_from_people(fragment, tool, tmp_path, labels, told):
    """Merged into somebody's file: whom a route of theirs tells, and whom only their root tells, once each."""
    first, last = fragment["route"]["routes"]
    theirs = {"receiver": "mesh", "matchers": ['team="mesh"']}
    whole = {
        "route": {"receiver": "all", "routes": [first, theirs, last]},
        "receivers": [{"name": "all"}, {"name": "mesh"}, *fragment["receivers"]],
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(whole))
    given = {"system": "x0tta6bl4", "environment": "staging", "action": "restart", "level": "warning", **labels}
    words = [f"{key}={value}" for key, value in given.items()]
    said = tool("amtool", "config", "routes", "test", f"--config.file={file}", *words).stdout.strip()
    assert said == f"x0tta6bl4/staging/responder,{told}"


def test_every_page_opens_a_runbook(root, system, staging):
    """A full address on each alert and panel: nobody who is woken has the checkout at hand."""
    groups = yaml.safe_load((root / "deploy/rules/rules/x0tta6bl4.yml").read_text())["groups"]
    links = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert links
    assert all(link.startswith("https://runbooks.staging.example/docs/runbooks/x0tta6bl4.md#") for link in links)
    assert '"url": "docs/' not in render(system, staging, "grafana")
    assert doubts(system, staging) == []


def test_what_would_not_work_is_said(system, staging, lab):
    """A link that no browser opens, a webhook that the responder refuses. Not of the lab, whose pages stay here."""
    (dead,) = doubts(system, staging.model_copy(update={"runbooks": ""}))
    assert dead == (
        "pages of x0tta6bl4/staging link to docs/runbooks/x0tta6bl4.md, which no browser opens: say in "
        "environments.staging.runbooks below which address the runbooks are served"
    )
    (refused,) = doubts(system, staging.model_copy(update={"responder_token_file": ""}))
    assert "x0tta6bl4/staging takes no webhook without its bearer token" in refused
    assert doubts(system, staging.model_copy(update={"responder_token_file": "", "responder": ""})) == []
    assert doubts(system, lab.model_copy(update={"responder_token_file": ""})) == []


def test_an_address_of_its_own_stays_as_it_is(system, staging):
    """What the facts name in full is not moved below the environment's address; slashes are not doubled."""
    book = system.runbooks["x0tta6bl4"]
    full = system.model_copy(update={"runbooks": {"x0tta6bl4": book.model_copy(update={"url": "https://wiki/x"})}})
    assert full.runbook_url("x0tta6bl4#rollback", staging.runbooks) == "https://wiki/x#rollback"
    assert system.runbook_url("x0tta6bl4#a", "https://r/") == "https://r/docs/runbooks/x0tta6bl4.md#a"


def test_the_rule_object_carries_what_selectors_ask_for(root, system, staging):
    """Labels, annotations and namespace of the environment beside Muster's own; the committed one has its release."""
    rules = {"labels": {"release": "prom"}, "annotations": {"team": "mesh, of course"}, "namespace": "monitoring"}
    given = Environment.model_validate({"name": "a", "description": "b", "rules": rules})
    made = prometheus_rule(system, given)["metadata"]
    assert made["labels"]["release"] == "prom"
    assert made["labels"]["app.kubernetes.io/managed-by"] == "muster"
    assert (made["annotations"], made["namespace"]) == (rules["annotations"], "monitoring")
    committed = yaml.safe_load((root / "deploy/rules/prometheusrule/x0tta6bl4.yml").read_text())["metadata"]
    assert committed["labels"]["release"] == staging.rules.labels["release"]
    assert committed["namespace"] == staging.kubernetes.namespace


@pytest.mark.parametrize(
    ("called", "name"), [("My Shop", "my-shop-eu-1"), ("_x_", "x-eu-1"), ("shop.v2", "shop.v2-eu-1")]
)
def test_the_object_has_a_name_that_the_api_takes(system, called, name):
    """Whatever files and environments are called; the label is such a word, too."""
    environment = Environment.model_validate({"name": "EU_1", "description": "b"})
    made = prometheus_rule(system.model_copy(update={"name": called}), environment)["metadata"]
    assert made["name"] == name
    assert made["labels"]["app.kubernetes.io/part-of"] == name.removesuffix("-eu-1")

"""The page of a run: what it says, that it needs nothing else, and that it works in a browser."""

import json
import os
import re
import shlex
import time
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from pages import opened

from evonas.analysis import Front, History, write_report
from evonas.analysis.report import Report, number, picks_of
from evonas.analysis.report_chart import HEIGHT, WIDTH, chart_of, tick_values
from evonas.analysis.report_facts import why_empty
from evonas.analysis.retrained import RetrainedNetworks
from evonas.errors import InputError
from evonas.plugins import Plugin
from evonas.runs import RunFolder
from evonas.stages.report import WriteReport

NETWORKS = ("00000000", "10000000", "11100000", "21100100", "22210110", "22212220")


def front_of(n, objectives=("error", "params")):
    params = np.round(25_000 * 40 ** np.linspace(0, 1, n))
    error = 4 + 40 * np.exp(-np.linspace(0, 3, n))
    networks = (
        [f"macro:{text}" for text in NETWORKS] if n == 6 else [f"macro:x{i}" for i in range(n)]
    )
    values = np.column_stack([error, params, params * 55 + 1])
    return Front(tuple(networks), ("error", "params", "macs"), values, objectives)


def described(**settings):
    given = {
        "problem": "cifar10-params",
        "space": "macro",
        "space_settings": [],
        "algorithm": "screened",
        "seed": 3,
        "device": "cpu",
        "threads": 2,
        "width": 0.25,
        "constraint": ["params<=1M"],
        "training": {"steps": 6500, "batch_size": 192},
    }
    return {
        "settings": given | settings,
        "data": {
            "name": "cifar10",
            "checksum": "abc",
            "num_classes": 10,
            "input_shape": [3, 32, 32],
            "train": 45000,
            "validation": 5000,
        },
        "versions": {"evonas": "0.1.0"},
    }


def folder_of(tmp_path, front, config=None):
    folder = RunFolder.create(tmp_path, "cifar10-params")
    folder.config.write_text(json.dumps(described() if config is None else config))
    folder.stages.write_text(json.dumps({"search": {"state": "done", "seconds": 65.0}}))
    search = {"kind": "search", "seed": 3, "evaluations": 40, "objectives": front.objectives}
    folder.journal.write_text(json.dumps(search) + "\n")
    front.write(folder.front)
    History([1, 2], [20, 40], [0.5, 0.6], [3.0, 5.0]).write(folder.history)
    return folder


class Reader(HTMLParser):
    """Tags that were opened and not closed, what they refer to, and the text."""

    EMPTY = {"meta", "link", "path", "circle", "img", "br"}

    def __init__(self, page):
        super().__init__()
        self.open, self.refers, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.refers += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_says_what_was_searched_and_needs_nothing_else(tmp_path):
    folder = folder_of(tmp_path, front_of(6))
    path = write_report(folder)
    page = path.read_text(encoding="utf-8")
    read = Reader(page)
    assert path == folder.report and not read.open
    assert all(refers.startswith("data:") for refers in read.refers)
    assert "http" not in re.sub(r'"data:[^"]*"', "", page) and "@import" not in page
    said = " ".join(" ".join(read.text).split())
    for text in (
        "cifar10, 45,000 training images, 5,000 validation images",
        "macro, 6,561 genomes of 8 genes",
        "a supernet at width 0.25, trained for 6,500 steps of 192 images",
        "params<=1M",
        "cpu, 2 threads",
        "search 1:05",
        "The front: 6 networks",
        "macro:22212220",
        f"evonas retrain {folder.path}",
        f"evonas export {folder.path}",
        f"python -m evonas.run --config {folder.path}/config.json",
        "fewest params",
        "least error",
        "the knee",
        "How the search went",
        "What the genes hold along the front",
    ):
        assert text in said, text
    assert page.count("<circle") == 6 + 1 and page.count("<tr><td>") == 6
    assert path.stat().st_size < 1e6


def test_the_numbers_of_the_page_are_those_of_the_front(tmp_path):
    front = front_of(6)
    page = write_report(folder_of(tmp_path, front)).read_text()
    data = json.loads(re.search(r'application/json">(.*?)</script>', page)[1])
    assert np.array_equal(np.array(data["values"]), front.values)
    assert np.allclose(data["points"], chart_of(front).points, atol=0.06)


def test_what_a_text_holds_stays_text(tmp_path):
    evil = "<script>alert(1)</script>&'\""
    front = Front((evil, "b"), ("error", "params"), [[1, 2], [2, 1]], ("error", "params"))
    runs = tmp_path / "a <b> & 'c'"  # the page's data and its commands hold the path
    runs.mkdir()
    config = described(space="mine", problem="</script><script>alert(2)</script>")
    page = write_report(folder_of(runs, front, config)).read_text()
    assert "<script>alert" not in page and page.count("<script") == page.count("</script") == 2
    said = "".join(Reader(page).text)
    assert evil in said and "</script><script>alert(2)" in said
    assert shlex.quote(str(runs))[:-1] in said


def test_a_number_without_end_is_no_number_of_the_data(tmp_path):
    values = [[1, 2, np.inf], [2, 1, np.nan]]
    front = Front(("a", "b"), ("error", "params", "latency"), values, ("error", "params"))
    page = write_report(folder_of(tmp_path, front, described(space="mine"))).read_text()
    data = json.loads(re.search(r'application/json">(.*?)</script>', page)[1])
    assert data["values"] == [[1, 2, None], [2, 1, None]]
    assert "<td>inf</td>" in page


def test_ends_and_knee_each_once():
    front = front_of(6)
    picks = picks_of(front)
    assert [reason for reason, _ in picks] == ["fewest params", "least error", "the knee"]
    assert [member.index for _, member in picks] == [0, 5, front.knee().index]
    assert [member.index for _, member in picks_of(front.take([2]))] == [0]
    assert picks_of(front.take([])) == ()
    assert picks_of(front.take([2]))[0][0] == "fewest params and least error"
    three = picks_of(front_of(6, ("error", "params", "macs")))
    assert [reason for reason, _ in three][:2] == ["fewest params and fewest MACs", "least error"]
    assert [member.index for _, member in three][:2] == [0, 5]
    steep = Front(("a", "b", "c"), ("error", "params"), [[9, 1], [1, 2], [0, 9]], front.objectives)
    assert [reason for reason, _ in picks_of(steep)][-1] == "the knee"
    bent = Front(("a", "b", "c"), ("error", "params"), [[9, 1], [1, 1], [0, 9]], front.objectives)
    assert [reason for reason, _ in picks_of(bent)] == ["least error", "fewest params and the knee"]


def test_an_empty_front_and_one_member(tmp_path):
    page = write_report(folder_of(tmp_path, front_of(6).take([]))).read_text()
    assert "keeps the constraints" not in page and "has been evaluated yet" in page
    assert "<svg" not in page and "<script" not in page
    page = write_report(folder_of(tmp_path, front_of(6).take([3]))).read_text()
    assert "The front: 1 network<" in page and page.count("<circle") == 2


def test_why_a_front_is_empty():
    none, limited = front_of(6).take([]), described()
    assert why_empty(none, limited, 0) == "No network has been evaluated yet."
    assert "loosen them, or search on" in why_empty(none, limited, 7)
    assert why_empty(none, described(constraint=[]), 7).endswith("is feasible.")
    assert why_empty(none, {"settings": None}, 7).endswith("is feasible.")
    assert why_empty(front_of(6), limited, 7) == ""


def test_a_table_edited_by_hand_is_told(tmp_path):
    front = front_of(6)
    values = front.values.copy()
    values[2, 0] = 99.0
    front = Front(front.networks, front.columns, values, front.objectives)
    assert "1 of the networks of front.csv is beaten" in (
        write_report(folder_of(tmp_path, front)).read_text()
    )


def test_only_what_the_folder_tells(tmp_path):
    for config in ({}, {"settings": None, "data": None}):
        (tmp_path / str(len(config))).mkdir()
        page = write_report(folder_of(tmp_path / str(len(config)), front_of(6), config)).read_text()
        said = " ".join("".join(Reader(page).text).split())
        assert "None" not in said and "looked up" not in said and "No diagrams" in said
    (tmp_path / "run").mkdir()
    other = described(supernet="runs/first", training={"steps": 5})
    page = write_report(folder_of(tmp_path / "run", front_of(6), other)).read_text()
    assert "the supernet of runs/first" in page and "0 of 40 networks evaluated" in page


def test_commands_name_the_plugins_that_made_the_page(tmp_path, monkeypatch):
    plugin = Plugin("my space.py", "")
    monkeypatch.setattr("evonas.analysis.report.plugins", lambda: (plugin,))
    page = write_report(folder_of(tmp_path, front_of(6))).read_text()
    said = "".join(Reader(page).text)
    assert said.count("--plugin 'my space.py'") == 3
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.S)[1])
    assert data["run"].endswith(" --plugin 'my space.py'")
    assert "config.json --plugin 'my space.py'" in said


@pytest.mark.parametrize("seeds", [1, 2])
def test_networks_trained_alone_have_the_numbers_of_the_front(tmp_path, seeds):
    front = front_of(6)
    folder = folder_of(tmp_path, front)
    networks = (front.networks[4], "macro:00000001", front.networks[4])
    columns = ("error", "test_error", "estimated_error", "epochs", "seeds", "params")
    values = [[9, 10, 8, 2, seeds, 900], [8, 9, np.nan, 2, 1, 1000], [7, 9, 8, 30, 1, 900]]
    methods = ("for 2 epochs", "for 2 epochs", "for 30 epochs")
    table = RetrainedNetworks(networks, methods, columns, np.array(values, float), "run")
    table.write(folder.retrained)
    page = write_report(folder).read_text()
    rows = re.findall(r"<tr><td>(\d*)</td><td>(macro:\d+)</td>", page.partition("trained alone")[2])
    assert rows == [("4", networks[0]), ("", networks[1]), ("4", networks[2])]
    assert ("<th>seeds</th>" in page) == (seeds > 1)
    title = table.plot().get_title(loc="left")
    assert title == "run · 2 networks trained alone in several ways"


def test_the_stage_is_done_also_with_files_of_the_future(tmp_path):
    folder, stage = folder_of(tmp_path, front_of(6)), WriteReport()
    assert not stage.done(folder)
    tomorrow = time.time() + 86_400
    os.utime(folder.front, (tomorrow, tomorrow))
    stage.run(SimpleNamespace(folder=folder))
    assert stage.done(folder)
    os.utime(folder.config, (tomorrow + 9, tomorrow + 9))
    assert not stage.done(folder)


def test_three_objectives_have_colours(tmp_path):
    front = front_of(6, ("error", "params", "macs"))
    chart = chart_of(front)
    assert len(set(chart.colours)) == 6 and "multiply-adds" in chart.third
    assert "multiply-adds (MACs), " in write_report(folder_of(tmp_path, front)).read_text()


def test_points_lie_in_the_picture():
    for front in (front_of(300), front_of(2), front_of(6).take([0])):
        points = chart_of(front).points
        assert (points > 0).all() and (points < [WIDTH, HEIGHT]).all()
    assert tick_values(90, 2100, log=True).tolist() == [100, 200, 500, 1000, 2000]
    assert tick_values(0, 1, log=False).tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_run_that_is_not_finished_or_has_no_front(tmp_path):
    folder = folder_of(tmp_path, front_of(6))
    folder.stages.write_text(json.dumps({"search": {"state": "running"}}))
    assert "This run is not finished" in write_report(folder).read_text()
    assert "This run is" not in Report.of(folder, state="finished").render()
    folder.front.unlink()
    with pytest.raises(InputError, match=r"no front.csv yet: .* go on with: "):
        write_report(folder)


def test_a_space_that_nobody_knows_has_no_diagrams(tmp_path):
    page = write_report(folder_of(tmp_path, front_of(6), described(space="mine"))).read_text()
    assert "No diagrams" in page and "fewest params: macro:00000000 (" in page


@pytest.mark.parametrize("letters", [12, 440])
def test_ten_thousand_members_are_less_than_three_megabytes(tmp_path, letters):
    front = front_of(10_000)
    if letters > 12:  # as genotypes of DARTS are, with quotes
        longer = [network + "('skip_connect', 0), " * 20 for network in front.networks]
        front = Front(longer, front.columns, front.values, front.objectives)
    page = write_report(folder_of(tmp_path, front, described(space="mine")))
    assert page.stat().st_size < 3e6
    shown = page.read_text().count("<tr><td>")
    assert shown == 10_000 if letters == 12 else 1_000 < shown < 10_000
    assert ("front.csv has all" in page.read_text()) == (shown < 10_000)


def test_numbers_of_the_table():
    assert number("params", 1234567.0) == "1,234,567" and number("error", 12.34567) == "12.35"
    assert number("error", np.nan) == ""


@pytest.mark.parametrize("letters", [0, 440])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_in_a_browser(tmp_path, width, height, letters):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    front = front_of(6)
    if letters:
        longer = [network + letters * "x" for network in front.networks]
        front = Front(longer, front.columns, front.values, front.objectives)
    config = described(space="mine" if letters else "macro")
    path = write_report(folder_of(tmp_path, front, config))
    with opened(path, width=width, height=height) as page:

        def all_of(selector):
            return page.find_elements(By.CSS_SELECTOR, selector)

        def column(k):
            return [
                row.find_elements(By.TAG_NAME, "td")[k].text for row in all_of("tbody tr[data-i]")
            ]

        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        points = all_of("#points circle")
        for i in (1, 4):
            ActionChains(page).move_to_element(points[i]).perform()
            tip = all_of("#tip")[0].text
            error, params, macs = front.values[i]
            assert front.networks[i][:40] in tip and number("params", params) in tip
            assert number("error", error) in tip and number("macs", macs) in tip
            (on,) = all_of("tr.on")
            assert on.get_attribute("data-i") == str(i)
            assert all_of("#ring")[0].get_attribute("visibility") == "visible"
            box, chart = all_of("#tip")[0].rect, all_of("#chart")[0].rect
            assert box["height"] < 0.5 * chart["height"]
        heads = all_of("#members th button")
        heads[2].click()
        assert column(0) == ["5", "4", "3", "2", "1", "0"]
        assert all_of("#members th")[2].get_attribute("aria-sort") == "ascending"
        heads[2].click()
        assert column(0) == ["0", "1", "2", "3", "4", "5"]
        heads[3].click()
        heads[3].click()
        assert column(1) == list(front.networks[::-1])
        first = all_of("tr[data-i='5']")[0]
        first.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
        assert all_of("#chosen")[0].text == f"Selected: {front.networks[3]}."
        assert len(all_of("tbody tr[tabindex='0']")) == 1
        all_of("tr[data-i='3'] td")[1].click()
        assert all_of("#export")[0].text.endswith(f"--network {front.networks[3]}")
        assert all_of("#retrain")[0].text.endswith(f"--network {front.networks[3]}")
        assert page.get_log("browser") == []

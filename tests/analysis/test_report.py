"""The page of a run: what it says, that it needs nothing else, and that it works in a browser."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from pages import opened

from evonas.analysis import Front, History, write_report
from evonas.analysis.report import Report, number, picks_of
from evonas.analysis.report_chart import HEIGHT, WIDTH, chart_of, tick_values
from evonas.errors import InputError
from evonas.runs import RunFolder

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
    page = write_report(folder_of(tmp_path, front, described(space="mine"))).read_text()
    assert (
        "<script>alert" not in page
        and page.count("<script") == 2
        and evil in "".join(Reader(page).text)
    )


def test_ends_and_knee_each_once():
    front = front_of(6)
    picks = picks_of(front)
    assert [reason for reason, _ in picks] == ["fewest params", "least error", "the knee"]
    assert [member.index for _, member in picks] == [0, 5, front.knee().index]
    assert [member.index for _, member in picks_of(front.take([2]))] == [0]
    assert picks_of(front.take([])) == ()
    three = picks_of(front_of(6, ("error", "params", "macs")))
    assert [member.index for _, member in three][:2] == [0, 5]


def test_an_empty_front_and_one_member(tmp_path):
    page = write_report(folder_of(tmp_path, front_of(6).take([]))).read_text()
    assert "keeps the constraints" in page and "<svg" not in page and "<script" not in page
    page = write_report(folder_of(tmp_path, front_of(6).take([3]))).read_text()
    assert "The front: 1 network<" in page and page.count("<circle") == 2


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


def test_ten_thousand_members_are_less_than_three_megabytes(tmp_path):
    folder = folder_of(tmp_path, front_of(10_000), described(space="mine"))
    assert write_report(folder).stat().st_size < 3e6


def test_numbers_of_the_table():
    assert number("params", 1234567.0) == "1,234,567" and number("error", 12.34567) == "12.35"
    assert number("error", np.nan) == ""


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_in_a_browser(tmp_path, width, height):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    front = front_of(6)
    path = write_report(folder_of(tmp_path, front))
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
            assert front.networks[i] in tip and number("params", params) in tip
            assert number("error", error) in tip and number("macs", macs) in tip
            (on,) = all_of("tr.on")
            assert on.get_attribute("data-i") == str(i)
            assert all_of("#ring")[0].get_attribute("visibility") == "visible"
        heads = all_of("#members th button")
        heads[2].click()
        assert column(0) == ["5", "4", "3", "2", "1", "0"]
        assert all_of("#members th")[2].get_attribute("aria-sort") == "ascending"
        heads[2].click()
        assert column(0) == ["0", "1", "2", "3", "4", "5"]
        heads[3].click()
        heads[3].click()
        assert column(1) == list(front.networks[::-1])
        all_of("tr[data-i='3'] td")[1].click()
        assert all_of("#export")[0].text.endswith("--member 3")
        assert all_of("#retrain")[0].text.endswith(f"--network {front.networks[3]}")
        assert page.get_log("browser") == []

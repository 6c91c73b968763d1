"""A classifier, its page on a free port, and a headless Chromium that is spoken to over its DevTools protocol."""

import itertools
import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rlrun
from rlrun.cli.model import Model
from rlrun.cli.studio.pad import pad
from rlrun.cli.studio.server import listen, server, url_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return rlrun.classify("cnn", "digits", epochs=4, directory=tmp_path_factory.mktemp("models"))


@pytest.fixture
def page(model: Model) -> Iterator[str]:
    listening = listen("127.0.0.1", 0)
    serving = server(pad(model))
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    yield url_of(listening)
    serving.should_exit = True
    thread.join(10)
    listening.close()
    assert not thread.is_alive()


class Browser:
    """One tab; `errors` are what its console and its network complained about."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self.errors: list[str] = []
        self.requested: list[str] = []
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(json.dumps(message["params"]))
            if message.get("method") == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def run(self, script: str) -> Any:
        found = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Return the value of `condition` once it is true; fail after ten seconds."""
        for _ in range(200):
            value = self.run(condition)
            if value:
                return value
            self.run("new Promise(done => setTimeout(done, 50))")
        raise AssertionError(f"never true: {condition}")

    def open(self, url: str) -> None:
        self.command("Page.navigate", url=url)
        self.wait("document.body?.dataset.ready")

    def mouse(self, kind: str, x: float, y: float) -> None:
        held = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def hover(self, x: float, y: float) -> None:
        self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        x, y, width, height = self.box(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x + width / 2, y + height / 2)

    def box(self, selector: str) -> list[float]:
        find = f"const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        found: list[float] = self.run(f"(() => {{ {find} return [box.x, box.y, box.width, box.height] }})()")
        return found

    def draw(self, points: list[tuple[float, float]]) -> None:
        """Press the mouse at the first point, each 0..1 of the pad, drag it through the others and let go."""
        x, y, width, height = self.box("#pad")
        places = [(x + right * width, y + down * height) for right, down in points]
        self.mouse("mousePressed", *places[0])
        for (x0, y0), (x1, y1) in itertools.pairwise(places):
            for part in (0.25, 0.5, 0.75, 1):
                self.mouse("mouseMoved", x0 + part * (x1 - x0), y0 + part * (y1 - y0))
        self.mouse("mouseReleased", *places[-1])


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium to draw in: apt-get install chromium")
    client = pytest.importorskip(
        "websockets.sync.client", reason="websockets speaks to the browser: pip install '.[test]'"
    )
    command = [
        CHROMIUM, "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={tmp_path}",
        "--window-size=1280,1000", "about:blank",
    ]  # fmt: skip
    if os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # which root cannot have
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "DevTools listening on" in line:
                break
        else:
            raise AssertionError(f"{CHROMIUM} does not start: {''.join(said[-5:])}")
        threading.Thread(target=process.stderr.read, daemon=True).start()  # so that it never waits for a reader
        place = line.split("ws://")[1].split("/")[0]
        with urllib.request.urlopen(f"http://{place}/json/list") as answer:
            tab = next(each for each in json.load(answer) if each["type"] == "page")
        with client.connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
            opened = Browser(socket)
            yield opened
            opened.command("Browser.close")
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()

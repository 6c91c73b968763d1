"""The pad in a real browser: a number drawn with the mouse is recognised, layers hide, a neuron explains itself."""

from typing import Any

import pytest

ONE = [(0.5, 0.15), (0.5, 0.5), (0.5, 0.85)]
ZERO = [(0.5, 0.15), (0.35, 0.25), (0.3, 0.5), (0.35, 0.75), (0.5, 0.85), (0.65, 0.75), (0.7, 0.5), (0.65, 0.25), (0.5, 0.15)]  # fmt: skip  # noqa: E501
FIRST = "document.querySelector('#first').dataset.name"
INKED = "(() => { const c = document.querySelector('#pad'); return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x > 0) })()"  # fmt: skip  # noqa: E501


@pytest.fixture
def tab(browser: Any, page: str) -> Any:
    browser.open(page)
    yield browser
    assert browser.errors == []
    assert all(url.startswith((page, "data:", "about:")) for url in browser.requested)  # nothing comes from elsewhere


def test_a_number_drawn_with_the_mouse_is_the_first_guess(tab: Any) -> None:
    assert tab.run(FIRST) == ""
    tab.draw(ZERO)
    tab.wait(f"{FIRST} === '0'")
    second = tab.run("document.querySelector('#second').dataset.name")
    assert second in set("123456789")
    assert tab.run("document.querySelector('.bar.first').dataset.name") == "0"
    tab.click("#clear")
    tab.wait(f"{FIRST} === ''")
    tab.draw(ONE)
    tab.wait(f"{FIRST} === '1'")
    tab.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'z', ctrlKey: true}))")
    tab.wait(f"{FIRST} === ''")  # the stroke is undone ...
    tab.click("#undo")
    tab.wait(f"{FIRST} === '0'")  # ... and so is the clearing


def test_a_finger_draws_as_well(tab: Any) -> None:
    tab.command("Emulation.setTouchEmulationEnabled", enabled=True)
    x, y, width, height = tab.box("#pad")
    for number, (right, down) in enumerate(ZERO):
        point = {"x": x + right * width, "y": y + down * height}
        tab.command("Input.dispatchTouchEvent", type="touchMove" if number else "touchStart", touchPoints=[point])
    tab.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    tab.wait(f"{FIRST} === '0'")


def test_the_eraser_takes_ink_away(tab: Any) -> None:
    tab.draw([(0.5, 0.5), (0.5, 0.6)])
    assert tab.run(INKED)
    tab.click("#eraser")
    tab.run("document.querySelector('#width').value = 48")
    tab.draw([(0.5, 0.45), (0.5, 0.65)])
    tab.wait(f"{FIRST} === ''")
    assert not tab.run(INKED)


def test_every_layer_is_there_and_can_be_hidden(tab: Any) -> None:
    names = tab.run("[...document.querySelectorAll('.layer')].map(layer => layer.dataset.layer)")
    assert names[0] == "input"
    assert names[1] == "body.layers.0"
    assert names[-1] == "output"
    shown = "[...document.querySelectorAll('.layer')].filter(layer => !layer.hidden).length"
    tab.click("#chips button:nth-child(2)")
    assert tab.run(shown) == len(names) - 1
    assert tab.run("document.querySelectorAll('.layer')[1].hidden")
    tab.click("#chips button:last-child")
    assert tab.run(shown) == 0
    tab.draw(ZERO)
    tab.click("#chips button:nth-last-child(2)")
    assert tab.run(shown) == len(names)
    coloured = "[...document.querySelectorAll('.layer canvas')].every(c => c.width > 0 && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x > 0))"  # fmt: skip  # noqa: E501
    assert tab.run(coloured)


def test_a_neuron_that_is_pointed_at_explains_its_value(tab: Any) -> None:
    tab.draw(ZERO)
    tab.wait(f"{FIRST} === '0'")
    tab.run("document.querySelector('[data-layer=output]').scrollIntoView({block: 'end'})")
    tab.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    x, y, *_ = tab.box("[data-layer='head.stream.output'] canvas")
    tab.hover(x + 10, y + 10)
    tab.wait("!document.querySelector('#info').hidden")
    text = tab.run("document.querySelector('#info').innerText")
    assert "class 0" in text
    assert "bias" in text
    products = [float(n.replace("−", "-")) for n in tab.run("[...document.querySelectorAll('#info tr')].slice(1).map(r => r.lastChild.textContent)")]  # fmt: skip  # noqa: E501, RUF001
    assert sum(products[:-1]) == pytest.approx(products[-1], abs=0.01)
    assert tab.run("document.querySelectorAll('#wires path').length") > 3
    tab.hover(5, 5)
    tab.wait("document.querySelector('#info').hidden")
    assert tab.run("document.querySelectorAll('#wires path').length") == 0

"""What a browser says of a page: who cannot read it, and what lies over what."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

A4_IN_PIXELS = 794
"""The width of A4 at 96 dpi."""


def faults_of(page: str, browser_page: Page) -> list[str]:
    """Empty: accessible by the rules of axe, no wider than the paper, no text of a chart outside of it or over another."""
    browser_page.set_content(page)
    found = Axe().run(browser_page)
    faults = [found.generate_report()] if found.violations_count else []
    width = browser_page.evaluate("document.documentElement.scrollWidth")
    faults += [f"{width} wide"] if width > A4_IN_PIXELS else []
    faults += browser_page.evaluate(OVERLAPS)
    return faults


OVERLAPS = """() => [...document.querySelectorAll("svg.chart[role=img]")].flatMap(chart => {
    const frame = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].filter(one => one.textContent);
    const boxes = texts.map(one => one.getBoundingClientRect());
    const bad = [];
    boxes.forEach((box, index) => {
        if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 3 || box.bottom > frame.bottom + 3)
            bad.push("outside: " + texts[index].textContent);
        for (let other = index + 1; other < boxes.length; other++) {
            const second = boxes[other];
            const wide = Math.min(box.right, second.right) - Math.max(box.left, second.left);
            const high = Math.min(box.bottom, second.bottom) - Math.max(box.top, second.top);
            if (wide > 1 && high > 4) bad.push(texts[index].textContent + " over " + texts[other].textContent);
        }
    });
    return bad;
})"""

"""A headless Chromium driven over its debugging pipe: enough to open, use and picture a page."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
SECONDS = 60
KEYS = {
    "Enter": (13, {"text": "\r"}),
    "Escape": (27, {}),
    "ArrowLeft": (37, {}),
    "ArrowUp": (38, {}),
    "ArrowRight": (39, {}),
    "ArrowDown": (40, {}),
    "/": (191, {"text": "/"}),
}
"""Their codes, and what they write."""


def found():
    """The browser on this machine; None where there is none."""
    return next((place for name in NAMES if (place := shutil.which(name))), None)


class Browser:
    """One browser with one page; `events` holds what it told so far."""

    def __init__(self, profile):
        (child_in, self.out), (self.inn, child_out) = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (child_in, child_out)]
        words = [found(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        shell = f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "browser", *words], pass_fds=ends, stderr=subprocess.DEVNULL
        )
        for end in (child_in, child_out, *ends):
            os.close(end)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)

    def ask(self, method, **params):
        """Send a command and wait for its answer."""
        self.number += 1
        said = {"id": self.number, "method": method, "params": params}
        if self.session:
            said["sessionId"] = self.session
        os.write(self.out, json.dumps(said).encode() + b"\0")
        while (told := self._next()).get("id") != self.number:
            self.events.append(told)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        return told["result"]

    def open(self, url, *, width, scheme, height=900):
        """Show a page at a width, light or dark, and wait until it is there."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=wanted)
        self.events.clear()
        self.ask("Page.navigate", url=url)
        while not self.named("Page.loadEventFired"):
            self.events.append(self._next())

    def value(self, expression):
        """What an expression in the page gives."""
        found = self.ask(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def until(self, expression):
        """Wait until an expression in the page is true; a minute at most."""
        is_true = self.value(
            f"new Promise(tell => {{ const end = Date.now() + {SECONDS * 1000};"
            f" const look = () => ({expression}) ? tell(true) : Date.now() > end ? tell(false)"
            " : setTimeout(look, 20); look(); })"
        )
        assert is_true, f"never true in the page: {expression}"

    def type(self, text):
        """Put a text where the focus is."""
        self.ask("Input.insertText", text=text)

    def press(self, *keys):
        """Press and let go of keys, one after the other."""
        for key in keys:
            code, text = KEYS[key]
            named = {"key": key, "windowsVirtualKeyCode": code}
            self.ask("Input.dispatchKeyEvent", type="keyDown", **named, **text)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **named)

    def allow(self, *permissions):
        """Let every page do this without asking anybody."""
        page, self.session = self.session, None
        self.ask("Browser.grantPermissions", permissions=permissions)
        self.session = page

    def picture(self):
        """What can be seen, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def named(self, method):
        """The parameters of all events of a name."""
        return [one["params"] for one in self.events if one.get("method") == method]

    def close(self):
        self.session = None
        with contextlib.suppress(EOFError, OSError):
            self.ask("Browser.close")
        self.process.wait()
        os.close(self.out)
        os.close(self.inn)

    def _next(self):
        while b"\0" not in self.rest:
            more = os.read(self.inn, 1 << 20)
            if not more:
                raise EOFError("the browser has ended")
            self.rest += more
        told, _, self.rest = self.rest.partition(b"\0")
        return json.loads(told)

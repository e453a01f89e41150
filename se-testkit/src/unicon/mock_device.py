"""Starts one of Unicon's simulated devices on this terminal.

`mock_device_cli` loads every plugin of Unicon first, and some of these need the rest of pyATS. The simulated
devices need none of them: so this names the package without running it.
"""

import importlib.util
import signal
import sys
import types

found = importlib.util.find_spec("unicon")
package = types.ModuleType("unicon")
package.__path__ = list(found.submodule_search_locations)
package.__spec__ = found
sys.modules["unicon"] = package

# A key that comes before the device listens must not end it.
signal.signal(signal.SIGINT, signal.SIG_IGN)

from unicon.mock import mock_device  # noqa: E402

read = mock_device.linenoise.read


def read_on(self, *arguments):
    """Ctrl-C drops the line and shows the prompt again, as on a device; here it would end the program."""
    for _ in range(5):
        try:
            line = read(self, *arguments)
        except KeyboardInterrupt:
            line = None
        if line is not None:
            return line
        print()
    return None


mock_device.linenoise.read = read_on
sys.exit(mock_device.main())

"""Reads commands from standard input, runs each on one console with netmiko, writes what it printed as JSON lines.

Arguments: device type, port, and for a device with a login: user name, password, enable secret.
"""

import json
import sys

from netmiko import ConnectHandler

kind, port, *login = sys.argv[1:]
username, password, secret = (login + ["", "", ""])[:3]
device = ConnectHandler(
    device_type=kind,
    host="127.0.0.1",
    port=int(port),
    username=username,
    password=password,
    secret=secret,
    fast_cli=True,
    conn_timeout=30,
)
if secret and not device.check_enable_mode():
    device.enable()
prompt = device.find_prompt()
print(json.dumps({"prompt": prompt}), flush=True)
for line in sys.stdin:
    shown = device.send_command(line.rstrip("\n"), read_timeout=60)
    print(json.dumps({"output": shown}), flush=True)
device.disconnect()

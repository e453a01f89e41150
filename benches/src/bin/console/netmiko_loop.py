"""Runs commands with netmiko and says how many seconds they took. Connecting is not counted.

`one PORT PASSWORD COUNT COMMAND`: on one device. `many PORTS PASSWORD COMMANDS`: on each of some devices (ports and
commands with commas between), with nornir and as many threads as devices; connecting is counted.
"""

import sys
import time

from netmiko import ConnectHandler


def one(port, password, count, command):
    device = ConnectHandler(
        device_type="cisco_ios_telnet", host="127.0.0.1", port=int(port), password=password, secret=password
    )
    device.enable()
    since = time.perf_counter()
    for _ in range(int(count)):
        assert device.send_command(command)
    print(time.perf_counter() - since)
    device.disconnect()


def many(ports, password, commands):
    import logging

    from nornir.core import Nornir
    from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
    from nornir.core.plugins.connections import ConnectionPluginRegister
    from nornir.plugins.runners import ThreadedRunner
    from nornir_netmiko.tasks import netmiko_send_command

    logging.disable(logging.CRITICAL)
    ConnectionPluginRegister.auto_register()
    hosts = Hosts()
    for port in ports.split(","):
        options = {"netmiko": ConnectionOptions(extras={"secret": password})}
        hosts[port] = Host(
            name=port,
            hostname="127.0.0.1",
            port=int(port),
            username="",
            password=password,
            platform="cisco_ios_telnet",
            connection_options=options,
        )
    inventory = Inventory(hosts=hosts, groups=Groups(), defaults=Defaults())
    nornir = Nornir(inventory=inventory, runner=ThreadedRunner(num_workers=len(hosts)))

    def collects(task):
        mine = [
            command
            for number, command in enumerate(commands.split(","))
            if ports.split(",")[number % len(hosts)] == task.host.name
        ]
        for command in mine:
            task.run(task=netmiko_send_command, command_string=command, enable=True)

    since = time.perf_counter()
    failed = nornir.run(task=collects).failed
    print(time.perf_counter() - since)
    assert not failed


{"one": one, "many": many}[sys.argv[1]](*sys.argv[2:])

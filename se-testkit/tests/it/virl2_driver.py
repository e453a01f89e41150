"""Drives a controller with Cisco's own client: connect, import, start, look, stop, wipe, remove.

Usage: virl2_driver.py URL USERNAME PASSWORD TOPOLOGY
Prints one JSON object of what it saw.
"""

import json
import logging
import sys

from virl2_client import ClientLibrary

logging.disable(logging.WARNING)

url, username, password, topology = sys.argv[1:]
seen = {}
client = ClientLibrary(
    url,
    username,
    password,
    allow_http=True,
    raise_for_auth_failure=True,
    convergence_wait_time=0.1,
)
# The client keeps states for a second; look at the controller each time.
client.auto_sync_interval = 0
seen["ready"] = client.is_system_ready()

lab = client.import_lab_from_path(topology, title="driven")
lab.auto_sync_interval = 0
# An imported lab does not take over `convergence_wait_time`.
lab.wait_time = 0.1
seen["title"] = lab.title
seen["nodes"] = sorted(node.label for node in lab.nodes())
seen["links"] = len(lab.links())
seen["before"] = lab.state()

lab.start(wait=True)
seen["started"] = lab.state()
seen["converged"] = lab.has_converged()
seen["states"] = sorted({node.state for node in lab.nodes()})
node = lab.get_node_by_label("rtr01")
seen["cpu_usage"] = node.cpu_usage > 0
seen["console"] = "Press RETURN" in node.console_logs(0)
seen["console_key"] = bool(node.console_key())
seen["tags"] = node.tags()
node.add_tag("blue")
seen["more_tags"] = sorted(node.tags())
node.remove_tag("blue")
node.extract_configuration()
lab.sync()
configuration = node.configuration
seen["configuration"] = "hostname rtr01" in str(configuration)
seen["found"] = [it.title for it in client.find_labs_by_title("driven")]
seen["listed"] = len(client.get_lab_list(show_all=True))
seen["testbed"] = "rtr01" in lab.get_pyats_testbed()
seen["computes"] = len(client.get_system_stats()["computes"])

node.stop(wait=True)
seen["node_stopped"] = node.state
node.wipe(wait=True)
seen["node_wiped"] = node.state
node.start(wait=True)
seen["node_started"] = node.state

try:
    lab.remove()
    seen["removed_while_running"] = True
except Exception as error:  # whatever the client makes of the refusal
    seen["removed_while_running"] = False
    seen["refusal"] = "must be stopped and wiped" in str(error)

lab.stop(wait=True)
seen["stopped"] = lab.state()
lab.wipe(wait=True)
seen["wiped"] = lab.state()
lab.remove()
seen["left"] = len(client.get_lab_list(show_all=True))
client.logout()
print(json.dumps(seen))

//! The devices that a candidate sees.

use std::collections::BTreeMap;

use se_runtime::{Call, Fault};
use serde::Serialize;
use serde_json::Value;

use super::invalid;

/// Protocols of LDS, the best first: where a device has several, it is shown by the first of these.
const PROTOCOLS: [&str; 7] = ["vnc", "http", "https", "rdp", "ssh", "serial", "telnet"];

/// Facts of a device that are ports, and the protocol behind each.
const FACTS: [(&str, &str); 3] = [
    ("vnc_port", "vnc"),
    ("pat_port", "ssh"),
    ("serial_port", "serial"),
];

/// One of them, as LDS takes it.
#[derive(Clone, Serialize)]
pub(super) struct Device {
    device_label: String,
    protocol: &'static str,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<String>,
}

/// Those that the step names: a list of devices, or a mapping from `<label>_<protocol>` to ports; else those whose
/// ports are known.
///
/// # Errors
/// `validation` for a device that is none, and for a label twice in a list.
pub(super) fn of(call: &Call, host: &str) -> Result<Vec<Device>, Fault> {
    match call.inputs.get("devices") {
        Some(Value::Array(all)) => listed(all, call, host),
        Some(Value::Object(all)) => {
            let ports = all.iter().map(|(name, port)| {
                let (label, protocol) = name.rsplit_once('_').unwrap_or((name, ""));
                device(label, protocol, port, host_of(call, label, host))
            });
            Ok(best(ports.collect::<Result<_, _>>()?))
        }
        None | Some(Value::Null) => {
            let known = call.runtime_env.get("devices").and_then(Value::as_object);
            let ports = known.into_iter().flatten().flat_map(|(label, facts)| {
                FACTS.iter().filter_map(move |(fact, protocol)| {
                    let port = facts.get(*fact).filter(|it| !it.is_null())?;
                    Some(device(label, protocol, port, host_of(call, label, host)))
                })
            });
            Ok(best(ports.collect::<Result<_, _>>()?))
        }
        Some(_) => Err(invalid(
            "`with.devices` of lds_provision@v1 must be a list of {device_label, protocol, host?, port?, password?}, \
             or a mapping from <label>_<protocol> to ports",
        )),
    }
}

fn listed(all: &[Value], call: &Call, host: &str) -> Result<Vec<Device>, Fault> {
    let mut devices: Vec<Device> = Vec::new();
    for (at, item) in all.iter().enumerate() {
        let field = |name: &str| item.get(name).and_then(Value::as_str);
        let label = field("device_label").or_else(|| field("name"));
        let (Some(label), Some(protocol)) = (label, field("protocol")) else {
            return Err(invalid(&format!(
                "`with.devices[{at}]` has no `device_label` or no `protocol`"
            )));
        };
        if devices.iter().any(|it| it.device_label == label) {
            return Err(invalid(&format!(
                "`with.devices` names `{label}` twice: LDS shows a label once"
            )));
        }
        let host = field("host").map_or_else(|| host_of(call, label, host), str::to_owned);
        let port = item.get("port").unwrap_or(&Value::Null);
        devices.push(Device {
            password: field("password").map(str::to_owned),
            ..device(label, protocol, port, host)?
        });
    }
    Ok(devices)
}

fn device(label: &str, protocol: &str, port: &Value, host: String) -> Result<Device, Fault> {
    let Some(protocol) = PROTOCOLS.into_iter().find(|it| *it == protocol) else {
        return Err(invalid(&format!(
            "device `{label}` has the protocol `{protocol}`; LDS knows: {}",
            PROTOCOLS.join(", ")
        )));
    };
    let port = match port {
        Value::Null => None,
        port => {
            let number = port.as_u64().and_then(|it| u16::try_from(it).ok());
            let number = number.filter(|it| *it != 0);
            let wrong = || {
                invalid(&format!(
                    "device `{label}` has the port {port}, which is none"
                ))
            };
            Some(number.ok_or_else(wrong)?)
        }
    };
    Ok(Device {
        device_label: label.to_owned(),
        protocol,
        host,
        port,
        password: None,
    })
}

/// Of each label the best protocol, by label.
fn best(all: Vec<Device>) -> Vec<Device> {
    let rank = |it: &Device| PROTOCOLS.iter().position(|known| *known == it.protocol);
    let mut by_label: BTreeMap<String, Device> = BTreeMap::new();
    for device in all {
        let known = by_label.get(&device.device_label);
        if known.is_none_or(|it| rank(&device) < rank(it)) {
            by_label.insert(device.device_label.clone(), device);
        }
    }
    by_label.into_values().collect()
}

/// The device's own host where the pod's facts name one, else the worker.
fn host_of(call: &Call, label: &str, worker: &str) -> String {
    let path = format!(
        "/devices/{}/host",
        label.replace('~', "~0").replace('/', "~1")
    );
    let own = call.runtime_env.pointer(&path).and_then(Value::as_str);
    own.unwrap_or(worker).to_owned()
}

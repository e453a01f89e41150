//! Ports of devices by name (`rtr01_serial`): how packages ask for them, and how a controller is told of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

/// Where the ports are that a controller offers by itself.
pub const RANGE: RangeInclusive<u16> = 2000..=7999;

/// What a port leads to, and how the controller's port service is told: to the console, to the screen, or to a
/// port of the node.
const PROTOCOLS: [(&str, Option<u16>); 7] = [
    ("serial", None),
    ("vnc", None),
    ("ssh", Some(22)),
    ("telnet", Some(23)),
    ("http", Some(80)),
    ("https", Some(443)),
    ("pat", Some(22)),
];

/// What a `template` asks for.
///
/// # Errors
/// What about it cannot be read.
pub fn wanted(template: &Value) -> Result<BTreeMap<String, Option<u16>>, String> {
    let mut names = BTreeMap::new();
    match template {
        Value::Array(all) => {
            for one in all {
                let (name, port) = entry(one)?;
                names.insert(name, port);
            }
        }
        Value::Object(all) => {
            for (device, protocols) in all {
                names.extend(of_device(device, protocols)?);
            }
        }
        other => {
            return Err(format!(
                "it is {other}, which is neither a list nor a mapping"
            ));
        }
    }
    for name in names.keys() {
        split(name)?;
    }
    Ok(names)
}

/// One of a list: `rtr01_serial`, or `{device, protocol, port?}`.
fn entry(one: &Value) -> Result<(String, Option<u16>), String> {
    if let Some(name) = one.as_str() {
        return Ok((called(name), None));
    }
    let text = |keys: &[&str]| keys.iter().find_map(|key| one.get(*key)?.as_str());
    let (Some(device), Some(protocol)) = (text(&["device", "node", "label"]), text(&["protocol"]))
    else {
        return Err(format!(
            "{one} is neither a name as rtr01_serial nor {{device, protocol, port?}}"
        ));
    };
    let port = one.get("port").map_or(Ok(None), port)?;
    Ok((format!("{}_{protocol}", called(device)), port))
}

/// Of a mapping: `rtr01: serial`, `rtr01: [serial, vnc]`, `rtr01: {serial: 5041}`, or `rtr01_serial: 5041`.
fn of_device(device: &str, protocols: &Value) -> Result<Vec<(String, Option<u16>)>, String> {
    let name = |protocol: &str| format!("{}_{protocol}", called(device));
    let text = |it: &Value| match it.as_str() {
        Some(protocol) => Ok((name(protocol), None)),
        None => Err(format!("{it} of `{device}` is no protocol")),
    };
    match protocols {
        Value::String(_) => Ok(vec![text(protocols)?]),
        Value::Array(all) => all.iter().map(text).collect(),
        Value::Object(all) => all
            .iter()
            .map(|(protocol, it)| Ok((name(protocol), port(it)?)))
            .collect(),
        other => Ok(vec![(called(device), port(other)?)]),
    }
}

fn port(value: &Value) -> Result<Option<u16>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let port = value.as_u64().and_then(|it| u16::try_from(it).ok());
    match port.filter(|it| *it != 0) {
        Some(port) => Ok(Some(port)),
        None => Err(format!("{value} is no TCP port")),
    }
}

/// What the devices of `runtime_env` have ports of.
#[must_use]
pub fn of_devices(devices: &Value) -> BTreeMap<String, Option<u16>> {
    let mut names = BTreeMap::new();
    for (device, facts) in devices.as_object().into_iter().flatten() {
        for (protocol, _) in PROTOCOLS {
            if facts.get(format!("{protocol}_port")).is_some() {
                names.insert(format!("{}_{protocol}", called(device)), None);
            }
        }
    }
    names
}

/// Which ports may be given: `{first, last}`, or `2000-7999`.
///
/// # Errors
/// What about it cannot be read.
pub fn range(value: &Value) -> Result<RangeInclusive<u16>, String> {
    let wrong = || format!("{value} is no range of ports: write {{first: 2000, last: 7999}}");
    let (first, last) = match value {
        Value::String(text) => {
            let (first, last) = text.split_once('-').ok_or_else(wrong)?;
            let number = |it: &str| it.trim().parse().map_err(|_| wrong());
            (number(first)?, number(last)?)
        }
        other => {
            let end = |key| other.get(key).map_or(Ok(None), port)?.ok_or_else(wrong);
            (end("first")?, end("last")?)
        }
    };
    if first == 0 || first > last {
        return Err(wrong());
    }
    Ok(first..=last)
}

/// Device and protocol of a name.
fn split(name: &str) -> Result<(&str, &str), String> {
    let known = |protocol: &str| PROTOCOLS.iter().any(|(it, _)| *it == protocol);
    match name.rsplit_once('_') {
        Some((device, protocol)) if !device.is_empty() && known(protocol) => Ok((device, protocol)),
        Some(_) | None => {
            let all: Vec<&str> = PROTOCOLS.iter().map(|(it, _)| *it).collect();
            Err(format!(
                "`{name}` is no port's name: <device>_<protocol>, the protocol one of {}",
                all.join(", ")
            ))
        }
    }
}

/// The device in a port's name.
#[must_use]
pub fn device(name: &str) -> Option<&str> {
    split(name).ok().map(|(device, _)| device)
}

/// As names of ports call a device: what is neither a letter, a digit, `_` nor `-` is `_`.
#[must_use]
pub fn called(label: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    label
        .chars()
        .map(|it| if plain(it) { it } else { '_' })
        .collect()
}

/// The ports as `runtime_env.devices` has them.
#[must_use]
pub fn devices(ports: &BTreeMap<String, u16>) -> Value {
    let mut devices = Map::new();
    for (name, port) in ports {
        if let Ok((device, protocol)) = split(name) {
            let facts = devices.entry(device).or_insert_with(|| json!({}));
            facts[format!("{protocol}_port")] = json!(port);
        }
    }
    Value::Object(devices)
}

/// The tags that tell the controller of the ports, by the devices' names.
///
/// # Errors
/// Which name is none.
pub fn tags(ports: &Map<String, Value>) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in ports {
        let (device, protocol) = split(name)?;
        let Some(outer) = port(value)? else {
            return Err(format!("`{name}` has no port"));
        };
        let inner = PROTOCOLS.iter().find(|(it, _)| *it == protocol);
        let tag = match inner.and_then(|(_, inner)| *inner) {
            None => format!("{protocol}:{outer}"),
            Some(inner) => format!("pat:{outer}:{inner}"),
        };
        tags.entry(device.to_owned()).or_default().push(tag);
    }
    Ok(tags)
}

/// Whether a tag tells the controller of a port.
#[must_use]
pub fn is_of_port(tag: &str) -> bool {
    let kind = tag.split(':').next().unwrap_or_default();
    kind.len() < tag.len() && matches!(kind, "serial" | "vnc" | "pat")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{called, devices, of_devices, range, tags, wanted};

    #[test]
    fn templates_are_read_in_every_shape() {
        let names = |all: &[(&str, Option<u16>)]| -> BTreeMap<String, Option<u16>> {
            all.iter()
                .map(|(it, port)| ((*it).to_owned(), *port))
                .collect()
        };
        for (template, expected) in [
            (
                json!(["r1_serial", "pc 1_vnc"]),
                Some(names(&[("r1_serial", None), ("pc_1_vnc", None)])),
            ),
            (
                json!(["r1_serial", {"device": "pc 1", "protocol": "vnc", "port": 5044}]),
                Some(names(&[("r1_serial", None), ("pc_1_vnc", Some(5044))])),
            ),
            (
                json!({"r1": "serial", "pc": ["vnc", "ssh"], "r2": {"serial": 5042, "vnc": null}}),
                Some(names(&[
                    ("r1_serial", None),
                    ("pc_vnc", None),
                    ("pc_ssh", None),
                    ("r2_serial", Some(5042)),
                    ("r2_vnc", None),
                ])),
            ),
            (
                json!({"r1_serial": 5041}),
                Some(names(&[("r1_serial", Some(5041))])),
            ),
            (json!({"r1": 5041}), None),
            (json!({"r1": "rdp"}), None),
            (json!({"r1": {"serial": 70000}}), None),
            (json!("r1"), None),
            (json!([7]), None),
        ] {
            let read = wanted(&template);
            match expected {
                Some(expected) => assert_eq!(read, Ok(expected), "{template}"),
                None => assert!(read.is_err(), "{template}: {read:?}"),
            }
        }
    }

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(range(&json!("2000-7999")), Ok(2000..=7999));
        assert_eq!(range(&json!({"first": 1, "last": 1})), Ok(1..=1));
        for bad in [
            json!("x"),
            json!("9-1"),
            json!("0-5"),
            json!({"first": 3}),
            json!(5),
        ] {
            assert!(range(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_become_facts_and_tags() {
        let ports = BTreeMap::from([
            ("r1_serial".to_owned(), 5041),
            ("pc_vnc".to_owned(), 5044),
            ("pc_ssh".to_owned(), 5045),
        ]);
        let facts = devices(&ports);
        let expected =
            json!({"r1": {"serial_port": 5041}, "pc": {"vnc_port": 5044, "ssh_port": 5045}});
        assert_eq!(facts, expected);
        let again = of_devices(&facts);
        assert_eq!(
            again.into_keys().collect::<Vec<_>>(),
            ports.keys().cloned().collect::<Vec<_>>()
        );
        let all = json!(ports);
        let all = tags(all.as_object().unwrap()).unwrap();
        assert_eq!(all["r1"], ["serial:5041"]);
        assert_eq!(all["pc"], ["pat:5045:22", "vnc:5044"]);
        assert_eq!(called("a b/ä_1-x"), "a_b___1-x");
    }
}

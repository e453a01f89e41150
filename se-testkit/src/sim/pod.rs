//! A whole pod: the controller and every device of a package.

mod layout;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use self::layout::{Layout, Ports};
use super::cisco::Cisco;
use super::cml::CmlSim;
use super::console::{Console, Place};
use super::control;
use super::journal::Journal;
use super::power::Power;
use super::profile::{DeviceKind, DeviceProfile, Profile};
use super::script::Script;
use super::serve::Serving;
use super::unix::{Host, Serial, Ssh};

/// Which pod, and where.
#[derive(Clone, Debug)]
pub struct PodOptions {
    /// The package's folder.
    pub package: PathBuf,
    /// What its devices answer.
    pub profile: Profile,
    /// The address to listen on.
    pub listen: String,
    /// Uses the package's own port numbers, not free ones.
    pub fixed_ports: bool,
}

impl PodOptions {
    /// A pod on 127.0.0.1 and free ports, with the profile that lies beside the package, if one does.
    ///
    /// # Errors
    /// If that profile cannot be read.
    pub fn new(package: impl Into<PathBuf>) -> io::Result<Self> {
        let package = package.into();
        let file = package.join("profile.yaml");
        let profile = match file.exists() {
            true => Profile::read(&std::fs::read_to_string(&file)?)
                .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?,
            false => Profile::default(),
        };
        Ok(Self {
            package,
            profile,
            listen: "127.0.0.1".to_owned(),
            fixed_ports: false,
        })
    }
}

/// A running pod; everything stops when it is dropped.
#[derive(Debug)]
pub struct Pod {
    options: PodOptions,
    devices: Vec<Device>,
    cml: CmlSim,
    control: Serving,
    journal: Journal,
    power: Power,
}

#[derive(Debug)]
struct Device {
    name: String,
    /// Its label in the controller's lab.
    node: String,
    kind: DeviceKind,
    profile: DeviceProfile,
    console: Console,
    vnc: Option<u16>,
    ssh: Option<Ssh>,
}

impl Pod {
    /// Starts every part.
    ///
    /// # Errors
    /// If the package has no readable topology, or a port cannot be listened on.
    pub async fn start(options: PodOptions) -> io::Result<Self> {
        let layout = Layout::read(&options.package)?;
        let (journal, power) = (Journal::default(), Power::default());
        let mut devices = Vec::new();
        for ports in &layout.devices {
            devices.push(Device::start(&options, ports, &power, &journal).await?);
        }
        let controller = options.profile.cml.clone();
        let (power_of_cml, journal_of_cml) = (power.clone(), journal.clone());
        let cml = CmlSim::start(&options.listen, controller, power_of_cml, journal_of_cml).await?;
        for device in &devices {
            cml.attach(&device.node, device.console.address);
        }
        let control = control::start(&options.listen, journal.clone()).await?;
        Ok(Self {
            options,
            devices,
            cml,
            control,
            journal,
            power,
        })
    }

    /// How to reach the pod: `worker` and `runtime_env` of a job.
    #[must_use]
    pub fn facts(&self) -> Value {
        let controller = &self.options.profile.cml;
        let is_control = |it: &&Device| it.name == layout::CONTROL_NODE;
        let devices: Map<String, Value> = self
            .devices
            .iter()
            .filter(|it| !is_control(it))
            .map(|it| (it.name.clone(), it.facts()))
            .collect();
        let mut runtime_env = json!({ "devices": devices });
        let control = self.devices.iter().find(is_control);
        if let (Some(control), Some(all)) = (control, runtime_env.as_object_mut()) {
            all.insert(layout::CONTROL_NODE.to_owned(), control.facts());
        }
        json!({
            "worker": {
                "ip": self.options.listen,
                "cml_url": self.cml.url(),
                "cml_username": controller.username,
                "cml_password": controller.password,
                "region": "local",
                "adapter": "cml_on_aws",
                "console_port": self.cml.console_port(),
                "tls": { "verify": false },
            },
            "runtime_env": runtime_env,
        })
    }

    /// The control port.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control.address)
    }

    /// The controller.
    #[must_use]
    pub fn cml(&self) -> &CmlSim {
        &self.cml
    }

    /// What was done to it.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Which of its nodes run.
    #[must_use]
    pub fn power(&self) -> &Power {
        &self.power
    }
}

impl Device {
    async fn start(
        options: &PodOptions,
        ports: &Ports,
        power: &Power,
        journal: &Journal,
    ) -> io::Result<Self> {
        let mut profile = options.profile.device(&ports.device);
        // A control node is a host, and nobody has to log in.
        if ports.device == layout::CONTROL_NODE && profile.kind.is_none() {
            profile.kind = Some(DeviceKind::Unix);
        }
        let place = Place {
            device: ports.device.clone(),
            node: ports.node.clone(),
            power: power.clone(),
            journal: journal.clone(),
            script: Script::new(&profile),
            boot: Duration::from_secs_f64(profile.boot_seconds.unwrap_or(0.0).clamp(0.0, 86_400.0)),
        };
        let listener = listen(options, ports.serial).await?;
        let kind = profile.kind();
        let mut ssh = None;
        let console = match kind {
            DeviceKind::Cisco => {
                Console::start(listener, Cisco::new(place.clone(), profile.clone()), place)?
            }
            DeviceKind::Unix => {
                let host = Host::start(place.clone(), profile.clone()).await?;
                if let Some(outer) = ports.pat {
                    ssh = Some(Ssh::start(
                        listen(options, Some(outer)).await?,
                        host.clone(),
                    )?);
                }
                Console::start(listener, Serial::new(host), place)?
            }
        };
        Ok(Self {
            name: ports.device.clone(),
            node: ports.node.clone(),
            kind,
            profile,
            console,
            vnc: ports.vnc,
            ssh,
        })
    }

    fn facts(&self) -> Value {
        let mut facts = json!({ "serial_port": self.console.address.port() });
        let credentials = self.profile.credentials();
        let enable = match self.kind {
            DeviceKind::Cisco => self.profile.enable_password.clone(),
            DeviceKind::Unix => None,
        };
        let more = [
            ("vnc_port", self.vnc.map(Value::from)),
            (
                "pat_port",
                self.ssh.as_ref().map(|it| it.address.port().into()),
            ),
            ("username", credentials.map(|it| it.0.into())),
            ("password", credentials.map(|it| it.1.into())),
            ("enable_password", enable.map(Value::from)),
            ("prompt", self.profile.prompt.clone().map(Value::from)),
        ];
        if let Some(all) = facts.as_object_mut() {
            for (key, value) in more {
                all.extend(value.map(|it| (key.to_owned(), it)));
            }
        }
        facts
    }
}

async fn listen(options: &PodOptions, port: Option<u16>) -> io::Result<TcpListener> {
    let port = port.filter(|_| options.fixed_ports).unwrap_or(0);
    let address = (options.listen.as_str(), port);
    TcpListener::bind(address).await.map_err(|error| {
        let (ip, port) = address;
        io::Error::new(
            error.kind(),
            format!("cannot listen on {ip}:{port}: {error}"),
        )
    })
}

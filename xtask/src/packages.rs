//! The programs that tests run against: from Debian's packages, from PyPI an S3 server, simulated devices and
//! another reader of consoles, and from npm a SARIF validator and the language server of editors.

use std::path::Path;

use crate::command::{Failure, command, root, run, say, works};

/// A program that tests need, and the package it is in.
struct Program {
    path: &'static str,
    package: &'static str,
    /// What is tested against it.
    purpose: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        path: "/usr/lib/frr/zebra",
        package: "frr",
        purpose: "real routers",
    },
    Program {
        path: "/usr/bin/vtysh",
        package: "frr",
        purpose: "real routers",
    },
    Program {
        path: "/usr/sbin/ser2net",
        package: "ser2net",
        purpose: "serial consoles",
    },
    Program {
        path: "/usr/bin/socat",
        package: "socat",
        purpose: "serial consoles",
    },
    Program {
        path: "/usr/sbin/ip",
        package: "iproute2",
        purpose: "network namespaces",
    },
    Program {
        path: "/usr/sbin/sshd",
        package: "openssh-server",
        purpose: "SSH and SFTP",
    },
    Program {
        path: "/usr/bin/ssh-keygen",
        package: "openssh-client",
        purpose: "SSH keys",
    },
    Program {
        path: "/usr/bin/psql",
        package: "postgresql",
        purpose: "the database of many engines",
    },
    Program {
        path: "/usr/bin/node",
        package: "nodejs",
        purpose: "the SARIF validator, the language server",
    },
    Program {
        path: "/usr/bin/npm",
        package: "npm",
        purpose: "the SARIF validator, the language server",
    },
    Program {
        path: "/usr/bin/cc",
        package: "gcc",
        purpose: "building C parts of crates",
    },
];

/// A virtual environment of Python.
struct Environment {
    folder: &'static str,
    /// A file that is there when it is installed.
    file: &'static str,
    /// The releases that the tests were written against.
    pins: &'static [&'static str],
    purpose: &'static str,
}

const ENVIRONMENTS: &[Environment] = &[
    Environment {
        folder: "target/moto",
        file: "bin/moto_server",
        pins: &["moto[server]==5.2.5"],
        purpose: "an S3 server",
    },
    // Without the rest of pyATS, of which it is a part: its simulated devices need nothing of it.
    Environment {
        folder: "target/unicon",
        file: "bin/mock_device_cli",
        pins: &["unicon==26.9", "unicon.plugins==26.9"],
        purpose: "Cisco's simulated command lines",
    },
    Environment {
        folder: "target/netmiko",
        file: "bin/netmiko-show",
        pins: &["netmiko==4.8.0", "nornir==3.6.0", "nornir-netmiko==1.0.1"],
        purpose: "another program that reads consoles",
    },
];

/// Microsoft's SARIF test kit: it brings the schema of SARIF 2.1.0 and a JSON Schema validator.
const SARIF: &str = "@microsoft/jest-sarif@1.0.0-beta.0";

/// The language server that editors use for YAML. Later releases want a newer Node.js than Debian has.
const LANGUAGE_SERVER: &str = "yaml-language-server@1.25.0";

/// Installs what is missing.
pub(crate) fn install() -> Result<(), Failure> {
    install_debian()?;
    install_python()?;
    install_sarif()?;
    install_language_server()
}

/// A SARIF validator in a folder of the repository's own.
fn install_sarif() -> Result<(), Failure> {
    let schema = "target/sarif/node_modules/@microsoft/jest-sarif/lib/schemas";
    if root().join(schema).exists() {
        return Ok(());
    }
    say("installing a SARIF validator for the tests into target/sarif");
    install_npm("target/sarif", SARIF)
}

/// A language server that is asked for findings and completions by our schemas.
fn install_language_server() -> Result<(), Failure> {
    let server = "target/tools/yaml/node_modules/yaml-language-server";
    if root().join(server).exists() {
        return Ok(());
    }
    say("installing a YAML language server for the tests into target/tools/yaml");
    install_npm("target/tools/yaml", LANGUAGE_SERVER)
}

/// A package of npm, without running anything that it brings.
fn install_npm(folder: &str, package: &str) -> Result<(), Failure> {
    let options = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
    let mut arguments = vec!["install", "--prefix", folder];
    arguments.extend(options);
    arguments.push(package);
    run(command("npm", &arguments))
}

/// What comes from PyPI, each in a virtual environment of the repository's own.
fn install_python() -> Result<(), Failure> {
    for Environment {
        folder,
        file,
        pins,
        purpose,
    } in ENVIRONMENTS
    {
        if root().join(folder).join(file).exists() {
            continue;
        }
        say(&format!("installing {purpose} for the tests into {folder}"));
        run(command("python3", &["-m", "venv", folder]))?;
        let pip = root().join(folder).join("bin/pip");
        let pip = pip.to_string_lossy().into_owned();
        let mut arguments = vec!["install", "--quiet", "--disable-pip-version-check"];
        arguments.extend(*pins);
        run(command(&pip, &arguments))?;
    }
    Ok(())
}

/// As root on a Debian machine; else says what to install.
fn install_debian() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.clone();
    if !works("apt-get", &["--version"]) || !is_root() {
        return Err(format!(
            "the tests need these Debian packages: {}; install them (apt-get install {}), or run this \
             as root on Debian",
            packages.join(", "),
            packages.join(" "),
        ));
    }
    say(&format!(
        "installing Debian packages for the tests: {}",
        packages.join(" ")
    ));
    run(command("apt-get", &["update", "-qq"]))?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&packages);
    let mut apt = command("apt-get", &arguments);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    run(apt)?;
    match self::missing() {
        still if still.is_empty() => Ok(()),
        still => Err(format!(
            "installed, and still missing: {}",
            still.join(", ")
        )),
    }
}

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<&str> = Vec::new();
    for Program {
        path,
        package,
        purpose,
    } in PROGRAMS
    {
        if !Path::new(path).exists() && !packages.contains(package) {
            say(&format!("missing: {path} ({purpose})"));
            packages.push(package);
        }
    }
    if !works("python3", &["-c", "import ensurepip, venv"]) {
        say(
            "missing: python3 with venv (an S3 server, simulated devices, the controller's own client)",
        );
        packages.push("python3-venv");
    }
    packages
}

fn is_root() -> bool {
    let uid = crate::command::output(command("id", &["-u"]));
    uid.is_ok_and(|uid| uid.trim() == "0")
}

//! The configuration files of the lab.

use std::io;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Ports, ROUTER_PASSWORD};

/// Configuration of router `number` for both of its daemons.
pub(super) fn write_router(folder: &Path, number: usize) -> io::Result<()> {
    std::fs::create_dir_all(folder.join("run"))?;
    std::fs::create_dir_all(folder.join("etc"))?;
    let head = format!(
        "hostname R{number}\npassword {ROUTER_PASSWORD}\nenable password {ROUTER_PASSWORD}\n"
    );
    let zebra = format!(
        "{head}interface eth0\n ip address 10.0.12.{number}/24\ninterface lo\n ip address 192.0.2.{number}/32\nline vty\n"
    );
    let ospfd = format!(
        "{head}interface eth0\n ip ospf network point-to-point\n ip ospf hello-interval 1\n ip ospf dead-interval 4\n\
         router ospf\n ospf router-id 192.0.2.{number}\n network 10.0.12.0/24 area 0\n network 192.0.2.{number}/32 area 0\nline vty\n"
    );
    std::fs::write(folder.join("zebra.conf"), zebra)?;
    std::fs::write(folder.join("ospfd.conf"), ospfd)?;
    let vtysh = format!("no service integrated-vtysh-config\nhostname R{number}\n");
    std::fs::write(folder.join("etc/vtysh.conf"), vtysh)
}

/// What a router's `ping` runs: one that never ends and needs no package.
pub(super) const PING: &str =
    "#!/bin/sh\nn=0\nwhile :; do echo \"64 bytes from $1: seq=$n\"; n=$((n+1)); sleep 0.2; done\n";

/// What runs on a router's serial line: its command line, again and again. Ctrl-C ends what runs there, never this.
pub(super) fn router_console(number: usize, vtysh: &str, programs: &Path) -> String {
    let programs = programs.display();
    format!(
        "#!/bin/bash\ntrap : INT\nexport TERM=vt100 PATH={programs}:$PATH\nstty rows 12\nwhile :; do\n  {vtysh}\n  \
         printf '\\n\\nR{number} con0 is now available\\n\\nPress RETURN to get started.\\n'\n  read x || [ $? -gt 128 ] || exit\ndone\n"
    )
}

/// What runs on the Linux host's serial line: a login, then a shell.
pub(super) fn linux_console((user, password): (&str, &str), home: &Path) -> String {
    let home = home.display();
    format!(
        r#"#!/bin/bash
trap : INT
export TERM=vt100 HOME={home}
cd "$HOME" || exit
while :; do
  user=
  while [ -z "$user" ]; do
    printf '\nLinux 6.1 linux1 ttyS0\n\nlinux1 login: '
    read user || [ $? -gt 128 ] || exit
  done
  printf 'Password: '
  stty -echo
  read password || [ $? -gt 128 ] || exit
  stty echo
  printf '\n'
  if [ "$user" = '{user}' ] && [ "$password" = '{password}' ]; then
    printf 'Last login: Mon Nov 23 20:00:00 on ttyS0\n'
    PS1='linux1:~\$ ' bash --norc --noprofile -i
    stty sane
  else
    printf 'Login incorrect\n'
  fi
done
"#
    )
}

/// A file that may be executed.
pub(super) fn write_program(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Serial lines behind TCP ports; several users at once on each, as on a terminal server without locks.
pub(super) fn ser2net(ports: &Ports, terminals: &[PathBuf]) -> String {
    let [one, two] = ports.console;
    let lines = [
        ("telnet(rfc2217=true)", one, 0),
        ("telnet", two, 1),
        ("tcp", ports.raw_console, 0),
        ("telnet", ports.linux_console, 2),
    ];
    let mut yaml = "%YAML 1.1\n---\n".to_owned();
    for (number, (accepter, port, terminal)) in lines.into_iter().enumerate() {
        let accepter = match accepter {
            "tcp" => format!("tcp,127.0.0.1,{port}"),
            telnet => format!("{telnet},tcp,127.0.0.1,{port}"),
        };
        let terminal = terminals.get(terminal).map(|it| it.display().to_string());
        let terminal = terminal.unwrap_or_default();
        yaml.push_str(&format!(
            "connection: &line{number}\n  accepter: {accepter}\n  connector: serialdev,{terminal},9600n81,local\n  \
             options: {{max-connections: 3}}\n"
        ));
    }
    yaml
}

/// An OpenSSH server; with `command`, every login gets that program, as on a router.
pub(super) fn sshd(port: u16, folder: &Path, command: Option<&str>, sftp: bool) -> String {
    let folder = folder.display();
    let mut text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/hostkey\nPidFile none\n\
         AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\n"
    );
    if sftp {
        text.push_str("Subsystem sftp internal-sftp\n");
    }
    if let Some(command) = command {
        text.push_str(&format!(
            "ForceCommand if [ -n \"$SSH_ORIGINAL_COMMAND\" ]; then exec {command} -c \"$SSH_ORIGINAL_COMMAND\"; else exec {command}; fi\n"
        ));
    }
    text
}

/// Whether something listens there.
pub(super) fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

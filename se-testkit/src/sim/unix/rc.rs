//! What each shell of a host reads first.

/// Asks the simulator before each command. A scripted one gets a function of its name for this one
/// time, so that pipes, redirections and `$?` are as they would be.
const ASK: &str = r#"
__sim_stub=
__sim_ask() {
  [[ -n $__sim_stub && ${FUNCNAME[1]-} == "$__sim_stub" ]] && return 0
  [[ -n $__sim_stub ]] && unset -f -- "$__sim_stub" && __sim_stub=
  [[ ${FUNCNAME[1]-} == cd ]] && return 0
  local word=${1%%[[:space:]]*} reply= fd
  { exec {fd}<>/dev/tcp/127.0.0.1/@PORT@; } 2>/dev/null || return 0
  printf '%s\0' "$1" >&"$fd"
  IFS= read -r -d '' reply <&"$fd"
  exec {fd}>&-
  [[ -z $reply ]] && return 0
  __sim_stub=$word
  eval "function $word { $reply; }"
  return 0
}
set -o functrace
trap '__sim_ask "$BASH_COMMAND"' DEBUG
"#;

/// The file for a user on a host; `port` is where scripted commands are asked for.
pub(super) fn text(user: &str, host: &str, port: Option<u16>) -> String {
    // An interactive shell prints on one stream, as on a terminal; that it has none it said before, to
    // nobody. `/home/…` is the scratch folder; there is no terminal to set.
    let mut text = format!(
        r#"[[ $- == *i* ]] && exec 2>&1
PS1='{user}@{host}:\w$ '
PS2='> '
HISTFILE=
cd() {{
  case ${{1-}} in
    /home/{user}|/home/{user}/*) builtin cd "$HOME${{1#/home/{user}}}" ;;
    *) builtin cd "$@" ;;
  esac
}}
stty() {{ :; }}
ulimit -t 120 -c 0
"#
    );
    if let Some(port) = port {
        text.push_str(&ASK.replace("@PORT@", &port.to_string()));
    }
    text
}

//! Which SSH algorithms are offered.

use std::borrow::Cow;

use russh::client::GexParams;
use russh::keys::Algorithm;
use russh::{Preferred, cipher, kex, mac};

/// Sound key exchanges that the library leaves out of its own list.
const MORE_KEX: [kex::Name; 3] = [
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
];

/// Key exchanges for devices that know nothing better (SHA-1; the last with a group of 1024 bits).
const OLD_KEX: [kex::Name; 3] = [kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];

/// Ciphers for devices that know nothing better.
const OLD_CIPHERS: [cipher::Name; 4] = [
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
    cipher::TRIPLE_DES_CBC,
];

/// Message digests for devices that know nothing better.
const OLD_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// The host key algorithm that signs with SHA-1.
const OLD_KEY: Algorithm = Algorithm::Rsa { hash: None };

/// Group sizes that old devices can give: IOS begins at 2048 bits.
const OLD_GROUPS: [usize; 3] = [2048, 2048, 8192];

/// What is offered, best first; what is weak only where it is asked for, and after all else.
pub(super) fn offered(legacy: bool) -> Preferred {
    let mut offered = Preferred::DEFAULT;
    offered.kex = with(&offered.kex, &MORE_KEX);
    if legacy {
        offered.kex = with(&offered.kex, &OLD_KEX);
        offered.cipher = with(&offered.cipher, &OLD_CIPHERS);
        offered.mac = with(&offered.mac, &OLD_MACS);
    } else {
        let keys = offered.key.iter().filter(|it| **it != OLD_KEY);
        offered.key = keys.cloned().collect();
    }
    offered
}

/// Sizes of the groups in an exchange of groups.
pub(super) fn groups(legacy: bool) -> GexParams {
    let [least, wanted, most] = OLD_GROUPS;
    match GexParams::new(least, wanted, most) {
        Ok(old) if legacy => old,
        Ok(_) | Err(_) => GexParams::default(),
    }
}

/// Whether a device that we agree with on nothing would take what is weak.
pub(super) fn has_old(theirs: &[String]) -> bool {
    let old = OLD_KEX.iter().map(AsRef::as_ref);
    let old = old.chain(OLD_CIPHERS.iter().map(AsRef::as_ref));
    let old = old.chain(OLD_MACS.iter().map(AsRef::as_ref));
    let mut old = old.chain([OLD_KEY.as_str()]);
    old.any(|old: &str| theirs.iter().any(|it| it == old))
}

fn with<T: Copy>(first: &[T], then: &[T]) -> Cow<'static, [T]> {
    Cow::Owned([first, then].concat())
}

#[cfg(test)]
mod tests {
    use super::{OLD_KEY, has_old, offered};

    fn names(legacy: bool) -> Vec<String> {
        let offered = offered(legacy);
        let kex = offered.kex.iter().map(|it| it.as_ref().to_owned());
        let ciphers = offered.cipher.iter().map(|it| it.as_ref().to_owned());
        let macs = offered.mac.iter().map(|it| it.as_ref().to_owned());
        let keys = offered.key.iter().map(|it| it.as_str().to_owned());
        kex.chain(ciphers).chain(macs).chain(keys).collect()
    }

    #[test]
    fn weak_algorithms_are_offered_only_where_they_are_asked_for() {
        let (modern, legacy) = (names(false), names(true));
        for weak in ["sha1", "cbc", "3des", OLD_KEY.as_str()] {
            let has = |all: &[String]| all.iter().any(|it| it == weak || it.contains(weak));
            assert!(has(&legacy), "{weak}: {legacy:?}");
            let exactly = |it: &String| it == weak || (weak != "ssh-rsa" && it.contains(weak));
            assert!(!modern.iter().any(exactly), "{weak}: {modern:?}");
        }
        assert!(modern.iter().all(|it| legacy.contains(it)));
    }

    #[test]
    fn a_device_with_weak_algorithms_alone_is_told_from_one_with_none() {
        for (theirs, expected) in [
            ("diffie-hellman-group1-sha1", true),
            ("3des-cbc", true),
            ("hmac-sha1", true),
            ("ssh-rsa", true),
            ("ssh-dss", false),
            ("none", false),
        ] {
            assert_eq!(has_old(&[theirs.to_owned()]), expected, "{theirs}");
        }
    }
}

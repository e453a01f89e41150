//! What expressions see, and writing to it.

use se_dsl::expr::{Root, Scopes};
use serde_json::{Value, json};

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

#[test]
fn roots_are_empty_objects_until_set() {
    let mut scopes = Scopes::new();
    for root in Root::ALL {
        assert_eq!(scopes.get(root), json!({}));
    }
    let value = json!({"a": [1, 2.5, "x", null, true], "big": 9_007_199_254_740_993_i64});
    scopes.set(Root::Session, &value);
    assert_eq!(scopes.get(Root::Session), value);
    assert_eq!(scopes.get(Root::Vars), json!({}));
}

#[test]
fn writes_make_objects_on_the_way() {
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, &json!({"flat": 1}));
    scopes.write_var(&path("sw01.show.vlan"), &json!([80]));
    scopes.write_var(&path("flat.below"), &json!("x"));
    scopes.write_var(&path("sw01.ok"), &json!(true));
    let expected = json!({"flat": {"below": "x"}, "sw01": {"show": {"vlan": [80]}, "ok": true}});
    assert_eq!(scopes.get(Root::Vars), expected);
    assert_eq!(
        super::eval("vars.sw01.show.vlan[0]", &scopes),
        Ok(json!(80))
    );
    assert_eq!(super::eval(".vars.sw01.ok", &scopes), Ok(json!(true)));
}

#[test]
fn values_are_found_by_path() {
    let mut scopes = Scopes::new();
    scopes.write_var(&path("a.b"), &json!({"c": 3}));
    let at = |dotted: &str| scopes.at(Root::Vars, &path(dotted));
    assert_eq!(at("a.b.c"), json!(3));
    assert_eq!(at("a.b"), json!({"c": 3}));
    assert_eq!(at("a.x.y"), Value::Null);
    assert_eq!(at("a.b.c.d"), Value::Null);
    assert_eq!(scopes.at(Root::Vars, &[]), json!({"a": {"b": {"c": 3}}}));
}

#[test]
fn a_clone_does_not_see_later_writes() {
    let mut scopes = Scopes::new();
    scopes.write_var(&path("a.b"), &json!(1));
    let before = scopes.clone();
    scopes.write_var(&path("a.b"), &json!(2));
    assert_eq!(before.at(Root::Vars, &path("a.b")), json!(1));
    assert_eq!(scopes.at(Root::Vars, &path("a.b")), json!(2));
}

#[test]
fn debug_shows_no_values() {
    let mut scopes = Scopes::new();
    scopes.set(Root::RuntimeEnv, &json!({"cml_password": "s3cret"}));
    assert!(!format!("{scopes:?}").contains("s3cret"));
}

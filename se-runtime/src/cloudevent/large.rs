//! CloudEvents stay small: whoever passes one on need take no more than 64 KiB (CloudEvents 1.0, "Size Limits").
//! What is large in one is told by its size and where it is found.

use serde_json::{Value, json};

use crate::event::Map;
use crate::size;

/// Bytes for what a step or job gave; the rest is for the caller's metadata and the envelope.
const LARGEST: usize = 48 << 10;
/// What is larger than this gives way first.
const SMALL: usize = 1 << 10;
/// What steps and jobs gave.
const FIELDS: [&str; 4] = ["output", "results", "partial_results", "output_data"];

/// Makes what is large give way to `{"bytes": …, "url": …}`; `url` is where the whole event is.
pub(super) fn fit(data: &mut Map, url: impl Fn() -> String) {
    for field in FIELDS {
        let Some(value) = data.get_mut(field) else {
            continue;
        };
        if size::of_value(value) <= LARGEST {
            continue;
        }
        let url = url();
        give_way(value, &url);
        if size::of_value(value) > LARGEST {
            *value = elsewhere(value, &url);
        }
    }
}

fn give_way(value: &mut Value, url: &str) {
    let Value::Object(fields) = value else {
        *value = elsewhere(value, url);
        return;
    };
    for value in fields.values_mut() {
        if size::of_value(value) > SMALL {
            give_way(value, url);
        }
    }
}

fn elsewhere(value: &Value, url: &str) -> Value {
    json!({"bytes": size::of_value(value), "url": url})
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{LARGEST, fit};
    use crate::size;

    fn fitted(data: Value) -> Value {
        let Value::Object(mut data) = data else {
            panic!("data is an object")
        };
        fit(&mut data, || "/events".to_owned());
        Value::Object(data)
    }

    #[test]
    fn small_outputs_are_told_as_they_are() {
        let data = json!({"output": {"text": "x".repeat(40_000)}, "message": "y".repeat(100_000)});
        assert_eq!(fitted(data.clone()), data);
    }

    #[test]
    fn what_is_large_gives_way_and_the_rest_stays() {
        let data = json!({"results": {"look": {"text": "x".repeat(100_000), "lab_id": "l"}, "score": {"points": 7}}});
        let expected = json!({"results": {
            "look": {"text": {"bytes": 100_002, "url": "/events"}, "lab_id": "l"},
            "score": {"points": 7},
        }});
        assert_eq!(fitted(data), expected);
    }

    #[test]
    fn many_small_ones_give_way_together() {
        let many: Value = (0..1000)
            .map(|it| (it.to_string(), json!("x".repeat(900))))
            .collect();
        for field in ["output", "results", "partial_results", "output_data"] {
            let fitted = fitted(json!({field: many.clone(), "status": "completed"}));
            assert_eq!(fitted[field]["url"], "/events");
            assert_eq!(fitted[field]["bytes"], size::of_value(&many));
            assert!(size::of_value(&fitted) < LARGEST);
        }
    }
}

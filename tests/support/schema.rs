//! As much of JSON Schema as lith's published schemas use; what it doesn't know is a failure, not a pass.

use serde_json::Value;

/// Panics where `value` is not as `schema`, a part of `root`, says.
#[track_caller]
pub(crate) fn check(root: &Value, schema: &Value, value: &Value, place: &str) {
    for (key, rule) in schema.as_object().expect("a schema is an object") {
        match key.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = rule.as_str().expect("a text").strip_prefix('#').expect("a local reference");
                check(root, root.pointer(pointer).expect("it leads somewhere"), value, place);
            }
            "type" => {
                let found = match value {
                    Value::Object(_) => "object",
                    Value::Array(_) => "array",
                    Value::String(_) => "string",
                    Value::Bool(_) => "boolean",
                    Value::Null => "null",
                    Value::Number(_) => "integer",
                };
                assert_eq!(rule, found, "{place}");
            }
            "const" => assert_eq!(rule, value, "{place}"),
            "minimum" => assert!(value.as_u64() >= rule.as_u64(), "{place}: {value}"),
            "uniqueItems" => {}
            "items" => {
                for (index, item) in value.as_array().expect(place).iter().enumerate() {
                    check(root, rule, item, &format!("{place}[{index}]"));
                }
            }
            "required" => {
                for name in rule.as_array().expect("names") {
                    assert!(value.get(name.as_str().expect("a name")).is_some(), "{place} has no {name}");
                }
            }
            "pattern" => {
                assert!(matches(rule.as_str().expect("a text"), value), "{place}: {value} is not {rule}");
            }
            "properties" => {
                for (name, inner) in value.as_object().expect(place) {
                    if let Some(rule) = rule.get(name) {
                        check(root, rule, inner, &format!("{place}.{name}"));
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                for (name, inner) in value.as_object().expect(place) {
                    if known.is_some_and(|known| known.get(name).is_some()) {
                        continue;
                    }
                    assert!(rule != &Value::Bool(false), "{place} has the unknown `{name}`");
                    if rule.is_object() {
                        check(root, rule, inner, &format!("{place}.{name}"));
                    }
                }
            }
            other => panic!("the check of schemas does not know `{other}`"),
        }
    }
}

/// The few patterns that there are.
fn matches(pattern: &str, value: &Value) -> bool {
    let text = value.as_str().expect("a text");
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$" => {
            let (name, rest) = text.split_once(':').unwrap_or_default();
            matches!((name, rest.len()), ("sha256", 64) | ("sha512", 128)) && hex(rest)
        }
        "^([0-9a-f]{40}|[0-9a-f]{64})$" => matches!(text.len(), 40 | 64) && hex(text),
        other => panic!("the check of schemas does not know the pattern `{other}`"),
    }
}

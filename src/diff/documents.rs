//! Manifests, configs and histories, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::align::align;
use super::report::{Both, Field, HistoryDiff};
use crate::image::Image;
use crate::oci::History;

/// What manifests say beside their layers and the config's digest.
pub(super) fn manifest(a: &Image, b: &Image) -> Vec<Field> {
    let value = |image: &Image| {
        let mut value = json(&image.manifest.value);
        value.remove("layers");
        if let Some(Value::Object(config)) = value.get_mut("config") {
            config.retain(|name, _| !matches!(name.as_str(), "digest" | "size"));
        }
        value
    };
    fields(value(a), value(b))
}

/// The config without its layers and its history.
pub(super) fn config(a: &Image, b: &Image) -> Vec<Field> {
    let value = |image: &Image| {
        let mut value = json(&image.config.value);
        value.remove("history");
        value.remove("rootfs");
        value
    };
    let (mut a, mut b) = (value(a), value(b));
    let order = order_of_env(&mut a, &mut b);
    let mut fields = fields(a, b);
    fields.extend(order);
    fields
}

fn json(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Turns the list of variables into a map by name; where only their order differs, that is a field of its own.
fn order_of_env(a: &mut Map<String, Value>, b: &mut Map<String, Value>) -> Option<Field> {
    let (old, new) = (env(a), env(b));
    let set = |list: &[Value]| list.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    (old != new && set(&old) == set(&new)).then(|| Field {
        name: "config.Env (order)".into(),
        values: Both::new(Some(Value::Array(old)), Some(Value::Array(new))),
    })
}

fn env(config: &mut Map<String, Value>) -> Vec<Value> {
    let Some(Value::Object(runtime)) = config.get_mut("config") else { return Vec::new() };
    let Some(Value::Array(list)) = runtime.remove("Env") else { return Vec::new() };
    let pair = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), Value::from(value))
    };
    let map: Map<String, Value> = list.iter().map(pair).collect();
    runtime.insert("Env".into(), Value::Object(map));
    list
}

fn fields(a: Map<String, Value>, b: Map<String, Value>) -> Vec<Field> {
    let mut found = Vec::new();
    collect("", a, b, &mut found);
    found
}

fn collect(prefix: &str, a: Map<String, Value>, b: Map<String, Value>, found: &mut Vec<Field>) {
    let mut names: BTreeMap<String, (Option<Value>, Option<Value>)> = BTreeMap::new();
    for (name, value) in a {
        names.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in b {
        names.entry(name).or_default().1 = Some(value);
    }
    for (name, (old, new)) in names.into_iter().filter(|(_, (old, new))| old != new) {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        // A map that is new, or gone, is told key by key, too.
        let map = |value: &Option<Value>| match value {
            Some(Value::Object(map)) => Some(map.clone()),
            None => Some(Map::new()),
            Some(_) => None,
        };
        match (map(&old), map(&new)) {
            (Some(old), Some(new)) if !(old.is_empty() && new.is_empty()) => collect(&name, old, new, found),
            _ => found.push(Field { name, values: Both::new(old, new) }),
        }
    }
}

pub(super) fn history(a: &[History], b: &[History]) -> Vec<HistoryDiff> {
    let key = |line: &History| (line.created_by.clone(), line.empty_layer);
    let keys = |lines: &[History]| lines.iter().map(key).collect::<Vec<_>>();
    let line = |lines: &[History], index: Option<usize>| index.and_then(|index| lines.get(index).cloned());
    align(&keys(a), &keys(b))
        .into_iter()
        .map(|(old, new)| HistoryDiff { lines: Both::new(line(a, old), line(b, new)) })
        .filter(|diff| diff.lines.a != diff.lines.b)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => panic!("no map"),
        }
    }

    fn names(fields: &[Field]) -> Vec<&str> {
        fields.iter().map(|field| field.name.as_str()).collect()
    }

    #[test]
    fn maps_are_told_by_key_and_lists_whole() {
        let a = map(
            json!({"config": {"Labels": {"x": "1", "y": "2"}, "Cmd": ["a"], "User": "u"}, "os": "linux"}),
        );
        let b = map(
            json!({"config": {"Labels": {"x": "1", "z": "3"}, "Cmd": ["a", "b"], "User": "u"}, "os": "linux"}),
        );
        let found = fields(a, b);
        assert_eq!(names(&found), ["config.Cmd", "config.Labels.y", "config.Labels.z"]);
        assert_eq!(found[1].values, Both::new(Some(json!("2")), None));
        let gone = fields(map(json!({"annotations": {"k": "v"}})), Map::new());
        assert_eq!(names(&gone), ["annotations.k"]);
    }

    #[test]
    fn variables_are_told_by_name_and_their_order_once() {
        let env = |list: Value| map(json!({"config": {"Env": list}}));
        let (mut a, mut b) = (env(json!(["A=1", "B=2"])), env(json!(["B=2", "A=1"])));
        assert_eq!(order_of_env(&mut a, &mut b).unwrap().name, "config.Env (order)");
        assert!(fields(a, b).is_empty());
        let (mut a, mut b) = (env(json!(["A=1", "B=2"])), env(json!(["A=1=1", "C=2"])));
        assert!(order_of_env(&mut a, &mut b).is_none());
        assert_eq!(names(&fields(a, b)), ["config.Env.A", "config.Env.B", "config.Env.C"]);
    }

    #[test]
    fn a_line_of_history_is_found_by_what_it_did() {
        let line = |by: &str, created: &str| History {
            created_by: Some(by.into()),
            created: Some(created.into()),
            ..History::default()
        };
        let found =
            history(&[line("a", "1"), line("b", "1")], &[line("a", "2"), line("x", "1"), line("b", "1")]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].lines, Both::new(Some(line("a", "1")), Some(line("a", "2"))));
        assert_eq!(found[1].lines, Both::new(None, Some(line("x", "1"))));
    }
}

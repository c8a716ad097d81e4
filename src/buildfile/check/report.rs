//! Diagnostics in forms for other programs.

use serde_json::{Value, json};

use super::{RULES, rule};
use crate::buildfile::{Diagnostic, Severity, Source, Span};

/// `{"diagnostics": […]}`: each with its severity, code, message, place, and what helps.
pub fn json(source: &Source, diagnostics: &[Diagnostic]) -> Value {
    let items: Vec<Value> = diagnostics.iter().map(|diagnostic| item(diagnostic, source)).collect();
    json!({ "file": source.name(), "diagnostics": items })
}

fn item(diagnostic: &Diagnostic, source: &Source) -> Value {
    let mut item = json!({
        "severity": diagnostic.severity.as_str(),
        "code": diagnostic.code,
        "message": diagnostic.message,
    });
    if !diagnostic.span.is_none() {
        item["start"] = position(source, diagnostic.span.start);
        item["end"] = position(source, diagnostic.span.end);
    }
    if let Some(rule) = rule(diagnostic.code) {
        item["description"] = rule.description.into();
        if let Some(url) = rule.url {
            item["url"] = url.into();
        }
    }
    if let Some(help) = &diagnostic.help {
        item["help"] = (**help).into();
    }
    if !diagnostic.notes.is_empty() {
        item["notes"] = diagnostic.notes.clone().into();
    }
    item
}

fn position(source: &Source, offset: usize) -> Value {
    let position = source.position(offset);
    json!({ "line": position.line, "column": position.column })
}

/// SARIF 2.1.0, the form that code hosts and editors read.
pub fn sarif(source: &Source, diagnostics: &[Diagnostic]) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            let mut descriptor = json!({
                "id": rule.name,
                "shortDescription": { "text": rule.description },
                "defaultConfiguration": { "level": "warning", "enabled": !rule.experimental },
            });
            if let Some(url) = rule.url {
                descriptor["helpUri"] = url.into();
            }
            descriptor
        })
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(|diagnostic| result(diagnostic, source)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "lith", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic, source: &Source) -> Value {
    let level = match diagnostic.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut text = diagnostic.message.clone();
    let notes = diagnostic.notes.iter().map(String::as_str);
    for more in diagnostic.help.as_deref().into_iter().chain(notes) {
        text.push('\n');
        text.push_str(more);
    }
    let mut result = json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(source.name()) } } }],
    });
    if !diagnostic.span.is_none() {
        result["locations"][0]["physicalLocation"]["region"] = region(source, diagnostic.span);
    }
    if let Some(index) = RULES.iter().position(|rule| rule.name == diagnostic.code) {
        result["ruleIndex"] = index.into();
    }
    result
}

fn region(source: &Source, span: Span) -> Value {
    let (start, end) = (source.position(span.start), source.position(span.end));
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<Diagnostic>, Source) {
        let source = Source::new("a b/Buildfile", "FROM é AS Base\nCOPY\n");
        let start = source.text().find("Base").unwrap();
        let warning =
            Diagnostic::warning("StageNameCasing", Span::new(start, start + 4), "should be lowercase");
        let error = Diagnostic::error("arguments", Span::new(16, 20), "too few").help("add one").note("n");
        (vec![warning, error], source)
    }

    #[test]
    fn json_has_places_and_urls() {
        let (diagnostics, source) = sample();
        let value = json(&source, &diagnostics);
        let [first, second] = value["diagnostics"].as_array().unwrap().as_slice() else { panic!() };
        assert_eq!(first["start"], json!({ "line": 1, "column": 11 }));
        assert_eq!(first["end"], json!({ "line": 1, "column": 15 }));
        assert_eq!(first["url"], "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/");
        assert_eq!((&second["severity"], &second["help"]), (&json!("error"), &json!("add one")));
        assert_eq!(second["notes"], json!(["n"]));
    }

    #[test]
    fn sarif_refers_to_its_rules() {
        let (diagnostics, source) = sample();
        let value = sarif(&source, &diagnostics);
        let run = &value["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), RULES.len());
        let [first, second] = run["results"].as_array().unwrap().as_slice() else { panic!() };
        let index = usize::try_from(first["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], first["ruleId"]);
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/Buildfile");
        assert_eq!(place["region"]["startColumn"], 11);
        assert_eq!(second["message"]["text"], "too few\nadd one\nn");
        assert!(second.get("ruleIndex").is_none());
    }
}

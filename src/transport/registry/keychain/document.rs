//! A file of credentials as a text to change a place of: members keep their order, and those that nobody touches
//! their bytes.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::{PrettyFormatter, Serializer as JsonSerializer};
use serde_json::value::RawValue;

const AUTHS: &str = "auths";

/// The file's one object, `auths` opened up.
pub(super) struct Document {
    members: Vec<(String, Member)>,
    indent: String,
    ends_with_newline: bool,
}

enum Member {
    Untouched(Box<RawValue>),
    Auths(Members),
}

/// An object, in its order.
#[derive(Default)]
struct Members(Vec<(String, Box<RawValue>)>);

impl Document {
    /// Docker's indentation is a tab; a file that has another keeps it.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        let members = if text.trim().is_empty() { Members::default() } else { serde_json::from_str(text)? };
        let open = |(key, value): (String, Box<RawValue>)| {
            let value = if key == AUTHS {
                Member::Auths(serde_json::from_str::<Option<_>>(value.get())?.unwrap_or_default())
            } else {
                Member::Untouched(value)
            };
            Ok((key, value))
        };
        let blank = |line: &&str| line.starts_with([' ', '\t']);
        let indented = text.lines().find(blank).unwrap_or("\t");
        let indent = indented.chars().take_while(|c| matches!(c, ' ' | '\t')).take(8).collect();
        Ok(Self {
            members: members.0.into_iter().map(open).collect::<serde_json::Result<_>>()?,
            indent,
            ends_with_newline: text.ends_with('\n'),
        })
    }

    /// Removes entries of `auths` by their keys; whether there were any.
    pub(super) fn remove(&mut self, mut which: impl FnMut(&str) -> bool) -> bool {
        let mut removed = false;
        for (_, member) in &mut self.members {
            if let Member::Auths(entries) = member {
                let before = entries.0.len();
                entries.0.retain(|(key, _)| !which(key));
                removed |= entries.0.len() != before;
            }
        }
        removed
    }

    /// Adds an entry to `auths`.
    pub(super) fn add(&mut self, key: &str, entry: &serde_json::Value) -> serde_json::Result<()> {
        // With the indentation that it will have.
        let text = pretty(entry, &self.indent)?.replace('\n', &format!("\n{0}{0}", self.indent));
        let entry = (key.to_owned(), RawValue::from_string(text)?);
        let auths = self.members.iter_mut().find_map(|(_, member)| match member {
            Member::Auths(entries) => Some(entries),
            Member::Untouched(_) => None,
        });
        match auths {
            Some(auths) => auths.0.push(entry),
            None => self.members.insert(0, (AUTHS.into(), Member::Auths(Members(vec![entry])))),
        }
        Ok(())
    }

    pub(super) fn to_text(&self) -> serde_json::Result<String> {
        let mut text = pretty(self, &self.indent)?;
        if self.ends_with_newline {
            text.push('\n');
        }
        Ok(text)
    }
}

fn pretty(value: &impl Serialize, indent: &str) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    value.serialize(&mut JsonSerializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8(bytes).expect("JSON is written as UTF-8"))
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        for (key, member) in &self.members {
            match member {
                Member::Untouched(value) => map.serialize_entry(key, value)?,
                Member::Auths(entries) => map.serialize_entry(key, entries)?,
            }
        }
        map.end()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str) -> String {
        let mut document = Document::parse(text).unwrap();
        document.remove(|key| key == "old.io");
        document.add("r.io", &serde_json::json!({"auth": "x"})).unwrap();
        document.to_text().unwrap()
    }

    #[test]
    fn what_is_not_changed_stays_as_it_is() {
        let text = "{\n\t\"z\": {\"b\": 1.50,   \"a\": 123456789012345678901234567890},\n\t\"auths\": {\n\t\t\"old.io\": {},\n\t\t\"k.io\": {\n\t\t\t\"auth\": \"k\"\n\t\t}\n\t},\n\t\"credsStore\": \"x\"\n}\n";
        let expected = text
            .replace("\t\t\"old.io\": {},\n", "")
            .replace("\"k\"\n\t\t}\n", "\"k\"\n\t\t},\n\t\t\"r.io\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n");
        assert_eq!(changed(text), expected);
    }

    #[test]
    fn the_indentation_is_the_files_or_dockers() {
        let fresh = "{\n\t\"auths\": {\n\t\t\"r.io\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}";
        assert_eq!(changed(""), fresh);
        assert_eq!(changed("{}"), fresh);
        assert_eq!(changed("{\"auths\": null}"), fresh);
        assert_eq!(changed("{\n  \"auths\": {}\n}"), fresh.replace('\t', "  "));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "1", "{\"auths\": []}", "{", "{}{}"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }
}

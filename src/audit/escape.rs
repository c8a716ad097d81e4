//! Strangers' words in HTML.

use crate::text::escaped;

/// Text, for between tags or in a quoted attribute. What would turn or break a line is shown, not done.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escaped(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A link to where the source is, if it is a page of the web.
pub(super) fn link(address: &str, text: &str) -> String {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    if is_web && !address.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return format!("<a rel=\"noreferrer noopener\" href=\"{}\">{}</a>", html(address), html(text));
    }
    html(text)
}

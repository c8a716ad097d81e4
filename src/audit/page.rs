//! The page: one file that needs nothing else, and runs nothing.

use super::escape::{html, link};
use super::timeline::{class, date, timeline};
use super::{Ledgers, Row, Standing, State};
use crate::release::{Chain, Environment, Kind, Link, Verdict, duration};

/// No script, no address: whatever got in could do nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("page.css");
const KEY: &str = "<p class=\"key note\"><span style=\"--c:var(--ok)\">current</span><span style=\"--c:var(--old)\">release</span><span style=\"--c:var(--back)\">rollback</span><span style=\"--c:var(--bad)\">marked bad</span></p>\n";

/// The references and the ledgers as HTML, as it was at a time in seconds since 1970.
pub fn page(rows: &[Row], ledgers: &[Ledgers], now: u64) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>What is deployed</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>What is deployed</h1>\n<p class=\"note\">As of {}</p>\n",
        date(now)
    );
    page.push_str(&references(rows, now));
    for of in ledgers {
        page.push_str(&format!("<h2>{}</h2>\n", html(&of.place)));
        if of.environments.is_empty() {
            page.push_str("<p class=\"note\">No releases.</p>\n");
            continue;
        }
        page.push_str(&timeline(of, now));
        page.push_str(KEY);
        for (environment, chain) in &of.environments {
            page.push_str(&history(environment, chain));
        }
    }
    page + "</body>\n</html>\n"
}

fn table(heading: &[&str], rows: &[String]) -> String {
    let heading: String = heading.iter().map(|cell| format!("<th>{cell}</th>")).collect();
    format!("<table>\n<thead><tr>{heading}</tr></thead>\n<tbody>\n{}</tbody>\n</table>\n", rows.concat())
}

/// A row of cells that are HTML already.
fn cells(cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    format!("<tr>{cells}</tr>\n")
}

fn tag(class: &str, text: &str) -> String {
    format!("<span class=\"tag {class}\">{}</span>", html(text))
}

/// Text that is to stay on one line.
fn short(text: &str) -> String {
    format!("<span class=\"short\">{}</span>", html(text))
}

fn references(rows: &[Row], now: u64) -> String {
    let lines: Vec<String> = rows.iter().map(|row| reference(row, now)).collect();
    let floating = rows.iter().filter(|row| row.state == State::Floating).count();
    let summary = format!("<p>{} references, {floating} of them floating</p>\n", rows.len());
    summary + &table(&["Where", "Reference", "", "Release", "Current", "Age", "Revision"], &lines)
}

fn reference(row: &Row, now: u64) -> String {
    let mut state = tag(row.state.word(), row.state.word());
    if let State::Left(why) = &row.state {
        state.push_str(&format!("<br><span class=\"note\">{}</span>", html(why)));
    }
    let mut image = format!("<code>{}</code>", html(&row.text));
    let digest = row.digest.as_ref().map(ToString::to_string);
    if let Some(digest) = digest.filter(|digest| !row.text.contains(digest)) {
        image.push_str(&format!("<br><code class=\"note\">{}</code>", html(&digest)));
    }
    if let Some(problem) = &row.problem {
        image.push_str(&format!("<br><span class=\"wrong\">{}</span>", html(problem)));
    }
    let each =
        |cell: &dyn Fn(&Standing) -> String| row.standings.iter().map(cell).collect::<Vec<_>>().join("<br>");
    cells(&[
        format!("<code>{}:{}</code>", html(&row.file), row.line),
        image,
        state,
        each(&|standing| {
            let platform = standing.platform.as_ref().map(|platform| format!(" ({platform})"));
            let platform = platform.unwrap_or_default();
            short(&format!("{} {}{platform}", standing.entry.environment, standing.entry.number))
        }),
        each(&|standing| match (standing.verdict, standing.is_current) {
            (Some(Verdict::Bad), _) => tag("no", "marked bad"),
            (_, true) => tag("yes", "yes"),
            (_, false) => tag("no", "no"),
        }),
        each(&|standing| short(&duration(now.saturating_sub(standing.entry.time)))),
        each(&|standing| revision(standing.entry.source.as_deref(), standing.entry.revision.as_deref())),
    ])
}

fn revision(source: Option<&str>, revision: Option<&str>) -> String {
    let short: String = revision.unwrap_or_default().chars().take(12).collect();
    match source {
        Some(source) => link(source, if short.is_empty() { source } else { &short }),
        None => html(&short),
    }
}

fn history(environment: &Environment, chain: &Chain) -> String {
    let lines: Vec<String> = chain.links.iter().map(|link| entry(chain, link)).collect();
    let mut text = format!("<h3>{}</h3>\n", html(environment.tag()));
    if let Some(error) = &chain.broken {
        text.push_str(&format!(
            "<p class=\"wrong\">The ledger breaks off: {}</p>\n",
            html(&error.to_string())
        ));
    }
    let heading = ["", "Time", "What", "Image", "Revision", "Who", "Why"];
    text + &table(&heading, &lines)
}

fn entry(chain: &Chain, link: &Link) -> String {
    let entry = &link.entry;
    let what = match &entry.kind {
        Kind::Release => "release".to_owned(),
        Kind::Rollback { to } => format!("rollback to {to}"),
        Kind::Mark { of, verdict: Verdict::Good } => format!("mark {of} good"),
        Kind::Mark { of, verdict: Verdict::Bad } => format!("mark {of} bad"),
        Kind::Repair { .. } => "repair".to_owned(),
    };
    let mut reason = html(&entry.reason);
    if let Kind::Repair { breaks, .. } = &entry.kind {
        for one in breaks {
            reason.push_str(&format!("<br><span class=\"wrong\">{}</span>", html(&one.to_string())));
        }
    }
    let state = match class(chain, link) {
        "current" if entry.moves() => format!(" {}", tag("yes", "current")),
        "bad" if entry.moves() => format!(" {}", tag("no", "bad")),
        _ => String::new(),
    };
    cells(&[
        entry.number.to_string(),
        date(entry.time),
        what + &state,
        format!("<code>{}</code> {}", html(&entry.digest()), html(&entry.tags.join(" "))),
        revision(entry.source.as_deref(), entry.revision.as_deref()),
        html(&entry.actor),
        reason,
    ])
}

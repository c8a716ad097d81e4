//! Environments over time, as a picture: a lane each, a bar for as long as an image was there.

use super::Ledgers;
use super::escape::html;
use crate::oci::Epoch;
use crate::release::{Chain, Entry, Kind, Link, Verdict};

const WIDTH: u64 = 960;
const LEFT: u64 = 130;
const RIGHT: u64 = 20;
const LANE: u64 = 44;
const TOP: u64 = 12;
const BAR: u64 = 16;
/// Two numbers closer than this would stand in each other.
const NUMBER: u64 = 20;

/// What of the time falls on the picture.
struct Scale {
    from: u64,
    to: u64,
}

impl Scale {
    fn x(&self, time: u64) -> u64 {
        let span = (self.to - self.from).max(1);
        let within = time.clamp(self.from, self.to) - self.from;
        // Times have 34 bits at most in an entry that is valid; what hasn't is clamped.
        LEFT + within.saturating_mul(WIDTH - LEFT - RIGHT) / span
    }
}

pub(super) fn timeline(ledgers: &Ledgers, now: u64) -> String {
    let entries = || ledgers.environments.iter().flat_map(|(_, chain)| &chain.links).map(|link| &link.entry);
    let Some(from) = entries().map(|entry| entry.time).min() else { return String::new() };
    let to = entries().map(|entry| entry.time).max().unwrap_or(from).max(now);
    let scale = Scale { from, to };
    let height = TOP + LANE * ledgers.environments.len() as u64 + 24;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"releases over time\">\n");
    for (lane, (environment, chain)) in ledgers.environments.iter().enumerate() {
        let y = TOP + LANE * lane as u64;
        let name = html(environment.tag());
        svg.push_str(&format!("<text class=\"lane\" x=\"0\" y=\"{}\">{name}</text>\n", y + BAR + 8));
        svg.push_str(&bars(chain, &scale, y));
    }
    let base = height - 6;
    for (x, anchor, time) in [(LEFT, "start", from), (WIDTH - RIGHT, "end", to)] {
        let day = html(&date(time));
        svg.push_str(&format!(
            "<text class=\"axis\" x=\"{x}\" y=\"{base}\" text-anchor=\"{anchor}\">{day}</text>\n"
        ));
    }
    svg + "</svg>\n"
}

/// A bar from each move to the next one, with its number.
fn bars(chain: &Chain, scale: &Scale, y: u64) -> String {
    let moves: Vec<&Link> = chain.links.iter().rev().filter(|link| link.entry.moves()).collect();
    let (mut svg, mut numbered) = (String::new(), 0);
    for (at, link) in moves.iter().enumerate() {
        let start = scale.x(link.entry.time);
        let end = moves.get(at + 1).map_or(scale.to, |next| next.entry.time);
        let width = scale.x(end).saturating_sub(start).max(3);
        let class = class(chain, link);
        let told = html(&title(&link.entry));
        svg.push_str(&format!(
            "<rect class=\"{class}\" x=\"{start}\" y=\"{}\" width=\"{width}\" height=\"{BAR}\" rx=\"2\"><title>{told}</title></rect>\n",
            y + 14
        ));
        if start >= numbered {
            let number = link.entry.number;
            svg.push_str(&format!("<text class=\"number\" x=\"{start}\" y=\"{}\">{number}</text>\n", y + 10));
            numbered = start + NUMBER;
        }
    }
    svg
}

pub(super) fn class(chain: &Chain, link: &Link) -> &'static str {
    match (chain.verdict(link.entry.number), &link.entry.kind) {
        (Some(Verdict::Bad), _) => "bad",
        _ if chain.current() == Some(link) => "current",
        (_, Kind::Rollback { .. }) => "rollback",
        _ => "release",
    }
}

fn title(entry: &Entry) -> String {
    let reason = if entry.reason.is_empty() { "" } else { ": " };
    format!("{} {}, by {}{reason}{}", entry.number, date(entry.time), entry.actor, entry.reason)
}

pub(super) fn date(time: u64) -> String {
    Epoch::from_seconds(time).unwrap_or_default().rfc3339()
}

//! The named checks of the language: things that build, and are still likely wrong.
//!
//! One file per check, with its rule, its message and its tests; [`RULES`] is the register, from which the list for
//! people, `# check=` and the report formats follow. A check that reads the syntax tree alone has its function in
//! its [`Rule`]; the others are told of by the lowering, when it knows what they are about.
//! Names, descriptions and messages are those of the language's main implementation.

mod consistent_instruction_casing;
mod copy_ignored_file;
mod duplicate_stage_name;
mod expose_invalid_format;
mod expose_proto_casing;
mod from_as_casing;
mod from_platform_flag_const_disallowed;
mod invalid_base_image_platform;
mod invalid_default_arg_in_from;
mod invalid_definition_description;
mod json_args_recommended;
mod legacy_key_value_format;
mod lints;
mod maintainer_deprecated;
mod multiple_instructions_disallowed;
mod no_empty_continuation;
mod redundant_target_platform;
mod report;
mod reserved_stage_name;
mod secrets_used_in_arg_or_env;
mod stage_name_casing;
#[cfg(test)]
mod testing;
mod undefined_arg_in_from;
mod undefined_var;
mod workdir_relative_path;

pub use report::{json, sarif};
pub use secrets_used_in_arg_or_env::sounds_secret;

pub(super) use copy_ignored_file::copy_ignored_file;
pub(super) use expose_invalid_format::expose_invalid_format;
pub(super) use expose_proto_casing::expose_proto_casing;
pub(super) use from_platform_flag_const_disallowed::from_platform_flag_const_disallowed;
pub(super) use invalid_base_image_platform::invalid_base_image_platform;
pub(super) use invalid_default_arg_in_from::invalid_default_arg_in_from;
pub(super) use json_args_recommended::json_args_recommended;
pub(super) use legacy_key_value_format::legacy_key_value_format;
pub(super) use lints::{Finding, Lints};
pub(super) use multiple_instructions_disallowed::multiple_instructions_disallowed;
pub(super) use redundant_target_platform::redundant_target_platform;
pub(super) use secrets_used_in_arg_or_env::secrets_used_in_arg_or_env;
pub(super) use undefined_arg_in_from::undefined_arg_in_from;
pub(super) use undefined_var::undefined_var;
pub(super) use workdir_relative_path::workdir_relative_path;

use super::{
    diagnostic::Diagnostic,
    directive::CheckDirective,
    lower::{self, LowerOptions, Purpose},
    parse::Parsed,
    syntax::{Buildfile, Word},
};
use crate::oci::Platform;
use crate::plan::{Git, Named, Plan, Resolve, ResolveError, ResolvedImage, Url};
use crate::text::nearest;

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What `# check=skip=` calls it.
    pub name: &'static str,
    pub description: &'static str,
    /// Where it is explained.
    pub url: Option<&'static str>,
    /// Runs only where `# check=experimental=` asks for it.
    pub experimental: bool,
    /// For a check of the syntax tree alone.
    tree: Option<fn(&Buildfile, &mut Lints)>,
}

/// All checks.
pub static RULES: [&Rule; 22] = [
    &stage_name_casing::RULE,
    &from_as_casing::RULE,
    &no_empty_continuation::RULE,
    &consistent_instruction_casing::RULE,
    &duplicate_stage_name::RULE,
    &reserved_stage_name::RULE,
    &json_args_recommended::RULE,
    &maintainer_deprecated::RULE,
    &undefined_arg_in_from::RULE,
    &workdir_relative_path::RULE,
    &undefined_var::RULE,
    &multiple_instructions_disallowed::RULE,
    &legacy_key_value_format::RULE,
    &invalid_base_image_platform::RULE,
    &redundant_target_platform::RULE,
    &secrets_used_in_arg_or_env::RULE,
    &invalid_default_arg_in_from::RULE,
    &from_platform_flag_const_disallowed::RULE,
    &copy_ignored_file::RULE,
    &invalid_definition_description::RULE,
    &expose_proto_casing::RULE,
    &expose_invalid_format::RULE,
];

/// The check of that name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name).copied()
}

/// Warnings about names in a directive that no check has.
pub(super) fn unknown_names(directive: &CheckDirective) -> Vec<Diagnostic> {
    let words = directive.skip.iter().chain(&directive.experimental);
    let unknown = words.filter(|word| word.as_str() != "all" && rule(word.as_str()).is_none());
    let warn = |word: &Word| {
        let typed = word.as_str();
        let warning = Diagnostic::warning("unknown-check", word.span, format!("there is no check `{typed}`"));
        let names = || RULES.iter().map(|rule| rule.name);
        let same = names().find(|name| name.eq_ignore_ascii_case(typed));
        match same.or_else(|| nearest(typed, names())) {
            Some(name) => warning.help(format!("did you mean `{name}`?")),
            None => warning.help("`lith check --list` has the names"),
        }
    };
    unknown.map(warn).collect()
}

/// Runs the checks that need nothing but the tree.
pub(super) fn tree(file: &Buildfile, lints: &mut Lints) {
    for check in RULES.iter().filter_map(|rule| rule.tree) {
        check(file, lints);
    }
}

/// All that is wrong or likely wrong with a file, in the order of the file: what its parser found, what a build
/// would report, and the checks' findings. Without a target, all stages are read.
///
/// Without a resolver nothing is known of images, and what depends on them is left out or said with a note; the same
/// holds for images that the resolver does not find.
pub fn check(
    parsed: &Parsed,
    options: &LowerOptions<'_>,
    resolve: Option<&mut dyn Resolve>,
) -> Vec<Diagnostic> {
    check_planned(parsed, options, resolve).1
}

/// The same, with the plan as far as there is one: of all stages, unless there is a target. It is for looking at
/// alone, as images that are not at hand are missing from it.
pub fn check_planned(
    parsed: &Parsed,
    options: &LowerOptions<'_>,
    resolve: Option<&mut dyn Resolve>,
) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut nothing = Nothing;
    let resolve = resolve.unwrap_or(&mut nothing);
    let mut diagnostics = parsed.diagnostics.clone();
    let mut plan = None;
    if !parsed.buildfile.stages.is_empty() {
        let (found, more) = lower::run(&parsed.buildfile, options, resolve, Purpose::Check);
        plan = found;
        diagnostics.extend(more);
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    (plan, diagnostics)
}

/// Knows no image.
struct Nothing;

impl Resolve for Nothing {
    fn named(&self, _: &str) -> Option<Named> {
        None
    }

    fn image(&mut self, name: &str, _: &Platform) -> Result<ResolvedImage, ResolveError> {
        Err(ResolveError::NotFound { name: name.to_owned() })
    }

    fn url(&mut self, _: &mut Url) -> Result<(), ResolveError> {
        Ok(())
    }

    fn git(&mut self, _: &mut Git) -> Result<(), ResolveError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_in_a_directive_are_told() {
        let text = "# check=skip=stagenamecasing,UndefinedVr;experimental=all\nFROM scratch\n";
        let expected = ["there is no check `stagenamecasing`", "there is no check `UndefinedVr`"];
        assert_eq!(testing::messages(text), expected);
    }

    #[test]
    fn each_rule_is_documented_and_has_a_name_of_its_own() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(!rule.description.is_empty(), "{}", rule.name);
            assert!(RULES[..i].iter().all(|other| other.name != rule.name), "{}", rule.name);
            assert!(rule.url.is_none_or(|url| url.starts_with("https://") && url.ends_with('/')));
        }
        assert_eq!(rule("UndefinedVar").map(|rule| rule.name), Some("UndefinedVar"));
        assert!(rule("undefinedvar").is_none());
    }
}

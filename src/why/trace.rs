//! What is remembered of a build.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mask::{masked, value};
use crate::exec::Part;
use crate::oci::{DiffId, Digest};
use crate::plan::{Base, ContextName, Plan, StageId};

/// A build for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub asked: Asked,
    /// The image's manifest.
    pub image: Digest,
    /// The index, where there is one; else as `image`.
    pub artifact: Digest,
    /// Those that were needed, in the order of the file.
    pub stages: Vec<StageTrace>,
}

/// What was asked for, beside the Buildfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The build arguments; of what sounds like a secret a hash.
    pub args: BTreeMap<String, String>,
    /// The options that shape the image, by what they are called.
    pub settings: BTreeMap<String, String>,
    /// For each context its ignore file, and a hash of what that says.
    pub ignore_files: BTreeMap<String, (String, String)>,
}

impl Asked {
    /// With what may not be told of the arguments left out.
    pub fn new(args: &BTreeMap<String, String>, settings: BTreeMap<String, String>) -> Self {
        let args = args.iter().map(|(name, text)| (name.clone(), value(name, text))).collect();
        Self { args, settings, ignore_files: BTreeMap::new() }
    }
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTrace {
    /// Its name, or its number.
    pub name: String,
    pub base: BaseTrace,
    pub steps: Vec<StepTrace>,
}

/// What a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseTrace {
    Scratch,
    /// The stage of that name or number.
    Stage(String),
    Image {
        name: String,
        digest: Digest,
    },
    Files(String),
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTrace {
    pub number: usize,
    pub line: usize,
    /// As it stands in the Buildfile.
    pub text: String,
    /// With what variables stand for.
    pub expanded: String,
    /// Equal keys, equal steps.
    pub key: Option<String>,
    pub layer: Option<DiffId>,
    pub parts: BTreeMap<Part, String>,
    pub files: Vec<FilesTrace>,
}

/// Files that a step read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesTrace {
    /// Where the store has the list.
    pub key: Option<String>,
    /// From which tree, in words.
    pub what: String,
}

impl StepTrace {
    pub(super) fn of(known: &crate::exec::Known<'_>, secrets: &[String]) -> Self {
        let part = |(part, text): &(Part, String)| {
            let text = match part {
                Part::Variable(name) => value(name, text),
                _ => value("", &masked(text, secrets)),
            };
            let part = match part {
                Part::Url(url) => Part::Url(masked(url, secrets)),
                Part::Git(remote) => Part::Git(masked(remote, secrets)),
                Part::Answer(request) => Part::Answer(masked(request, secrets)),
                part => part.clone(),
            };
            (part, text)
        };
        let files = known
            .files
            .iter()
            .map(|files| FilesTrace { key: files.key.map(str::to_owned), what: files.what.clone() });
        Self {
            number: known.step.number,
            line: known.line,
            text: masked(known.step.text, secrets),
            expanded: masked(known.expanded, secrets),
            key: known.key.map(str::to_owned),
            layer: known.layer.map(|layer| layer.diff_id.clone()),
            parts: known.parts.iter().map(part).collect(),
            files: files.collect(),
        }
    }
}

/// What people call a stage.
fn label(plan: &Plan, id: StageId) -> String {
    plan.stage(id).name.clone().unwrap_or_else(|| id.0.to_string())
}

/// What people call a context.
pub(super) fn context(name: &ContextName) -> String {
    match name {
        ContextName::Main => "the build context".to_owned(),
        ContextName::Named(name) => format!("the context `{name}`"),
    }
}

/// The stages that a plan's target needs, without their steps.
pub(super) fn stages(plan: &Plan) -> Vec<StageTrace> {
    let stage = |id: StageId| {
        let base = match &plan.stage(id).base {
            Base::Scratch => BaseTrace::Scratch,
            Base::Stage(base) => BaseTrace::Stage(label(plan, *base)),
            Base::Image(image) => BaseTrace::Image { name: image.name.clone(), digest: image.digest.clone() },
            Base::Files(name) => BaseTrace::Files(context(name)),
        };
        StageTrace { name: label(plan, id), base, steps: Vec::new() }
    };
    plan.needed().into_iter().map(stage).collect()
}

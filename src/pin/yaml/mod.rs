//! YAML: the images that manifests, values, kustomizations, compose files and workflows name.

mod fields;
mod find;
mod parts;
mod tree;

pub use fields::FieldPath;

use super::{File, PinError, line_of};
use find::Finder;

const BOM: char = '\u{feff}';

pub(super) fn read(text: String, fields: &[FieldPath]) -> Result<File, PinError> {
    let shift = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
    let documents = match tree::read(&text[shift..], shift) {
        Ok(documents) => documents,
        Err(error) => match text.find("{{") {
            // A chart's template is YAML only once it has been filled in.
            Some(at) => {
                let template = Some(line_of(&text, at));
                return Ok(File { text, sites: Vec::new(), template });
            }
            None => return Err(error),
        },
    };
    let mut finder = Finder::new(&text, fields);
    documents.iter().for_each(|document| finder.document(document));
    let sites = finder.finish();
    Ok(File { text, sites, template: None })
}

//! Every fact about a compression format: its name and levels, its media type, its magic number, how lith
//! writes it and how it is read.
//!
//! lith compresses a layer chunk by chunk, each chunk to a gzip member or zstd frame that stands alone.
//! The invariant of [`Compression::compress`]: its output depends on the chunk and on the level, and on
//! nothing else: not on the chunks before it, on the thread, on the CPU or on how buffers happen to lie.
//! Changing an encoder, its version or its parameters changes digests, and so needs a new format profile.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::oci::MediaType;

/// How the layers that lith writes are compressed: `gzip[:0..12]`, `zstd[:1..19]` or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression(Encoder);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoder {
    None,
    Gzip(u8),
    Zstd(u8),
}

/// libdeflate's levels; 0 stores.
const GZIP_LEVELS: RangeInclusive<u8> = 0..=12;
/// Beyond 19 zstd asks the reader for more memory than some give.
const ZSTD_LEVELS: RangeInclusive<u8> = 1..=19;
/// Libraries and binaries come out 4 % larger than by level 6, which is what zlib's default gives, for two thirds of its
/// time; text differs by less than 1 %. Changing this changes digests.
const GZIP_DEFAULT: u8 = 2;
const ZSTD_DEFAULT: u8 = 3;

impl Compression {
    pub const NONE: Self = Self(Encoder::None);

    /// gzip; `None` if there is no such level.
    pub fn gzip(level: u8) -> Option<Self> {
        GZIP_LEVELS.contains(&level).then_some(Self(Encoder::Gzip(level)))
    }

    /// zstd; `None` if there is no such level.
    pub fn zstd(level: u8) -> Option<Self> {
        ZSTD_LEVELS.contains(&level).then_some(Self(Encoder::Zstd(level)))
    }

    /// Whether a blob is the tar itself.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The media type of a layer (image-spec, layer.md, "`+gzip` Media Types" and "`+zstd` Media Types").
    pub fn media_type(self) -> MediaType {
        match self.0 {
            Encoder::None => MediaType::ImageLayer,
            Encoder::Gzip(_) => MediaType::ImageLayerGzip,
            Encoder::Zstd(_) => MediaType::ImageLayerZstd,
        }
    }

    /// Compresses one chunk into `out`, replacing what was in it.
    ///
    /// The compressor is made afresh for each chunk, called once, and given room for the worst case: an encoder that
    /// is fed in pieces, or remembers, may choose other matches. A gzip member has no name, mtime 0 and OS 255
    /// ("unknown"); a zstd frame has its content's size and no checksum, as the blob's digest is one.
    pub fn compress(self, chunk: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self.0 {
            Encoder::None => {
                out.clear();
                out.extend_from_slice(chunk);
            }
            Encoder::Gzip(level) => {
                let level = libdeflater::CompressionLvl::new(level.into()).expect("levels are checked");
                let mut compressor = libdeflater::Compressor::new(level);
                out.resize(compressor.gzip_compress_bound(chunk.len()), 0);
                let n = compressor.gzip_compress(chunk, out).expect("there is room for the worst case");
                out.truncate(n);
            }
            Encoder::Zstd(level) => {
                out.resize(zstd::zstd_safe::compress_bound(chunk.len()), 0);
                let n = zstd::bulk::Compressor::new(level.into())?.compress_to_buffer(chunk, &mut out[..])?;
                out.truncate(n);
            }
        }
        Ok(())
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self(Encoder::Gzip(GZIP_DEFAULT))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Encoder::None => write!(f, "none"),
            Encoder::Gzip(level) => write!(f, "gzip:{level}"),
            Encoder::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

/// Why a text names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCompressionError {
    #[error("expected `gzip`, `zstd` or `none`, found `{}`", .0.escape_debug())]
    Unknown(String),
    #[error("expected a {name} level from {} to {}, found `{}`", .levels.start(), .levels.end(), .found.escape_debug())]
    Level { name: &'static str, levels: RangeInclusive<u8>, found: String },
    #[error("`none` takes no level, found `{}`", .0.escape_debug())]
    NoLevel(String),
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
        match (name, level) {
            ("none", None) => Ok(Self::NONE),
            ("none", Some(level)) => Err(ParseCompressionError::NoLevel(level.into())),
            ("gzip", level) => {
                Ok(Self(Encoder::Gzip(parse_level("gzip", level, GZIP_DEFAULT, GZIP_LEVELS)?)))
            }
            ("zstd", level) => {
                Ok(Self(Encoder::Zstd(parse_level("zstd", level, ZSTD_DEFAULT, ZSTD_LEVELS)?)))
            }
            _ => Err(ParseCompressionError::Unknown(name.into())),
        }
    }
}

fn parse_level(
    name: &'static str,
    text: Option<&str>,
    default: u8,
    levels: RangeInclusive<u8>,
) -> Result<u8, ParseCompressionError> {
    let Some(text) = text else { return Ok(default) };
    match text.parse() {
        Ok(level) if levels.contains(&level) => Ok(level),
        _ => Err(ParseCompressionError::Level { name, levels, found: text.into() }),
    }
}

/// The formats that lith reads, of layers and of the archives that ADD unpacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Plain,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// The most memory that an xz archive may ask for: what `xz -9` needs, four times over.
const XZ_MEMORY_KIB: u32 = 256 << 10;

impl Format {
    /// As many first bytes as [`Format::detect`] looks at.
    pub const MAGIC_LEN: usize = 6;

    /// What the first bytes of a file say that it is. What has no known magic number is plain.
    pub fn detect(first: &[u8]) -> Self {
        const MAGIC: [(&[u8], Format); 4] = [
            (b"\x1f\x8b\x08", Format::Gzip),
            (b"BZh", Format::Bzip2),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
        ];
        // zstd's skippable frames, which may come first (RFC 8878, 3.1.2).
        if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = first {
            return Self::Zstd;
        }
        MAGIC.iter().find(|(magic, _)| first.starts_with(magic)).map_or(Self::Plain, |(_, format)| *format)
    }

    /// The uncompressed bytes: of all gzip members, bzip2 or xz streams or zstd frames, in turn.
    pub fn decoder<'a>(self, reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Plain => Box::new(reader),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(reader, true, XZ_MEMORY_KIB)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        })
    }
}

/// The uncompressed bytes of `reader`, whatever it is compressed by.
pub fn decode<'a>(mut reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::with_capacity(Format::MAGIC_LEN);
    reader.by_ref().take(Format::MAGIC_LEN as u64).read_to_end(&mut first)?;
    Format::detect(&first).decoder(io::Cursor::new(first).chain(reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    fn all() -> Vec<Compression> {
        let gzip = GZIP_LEVELS.filter_map(Compression::gzip);
        let zstd = ZSTD_LEVELS.filter_map(Compression::zstd);
        gzip.chain(zstd).chain([Compression::NONE]).collect()
    }

    /// Text with some repetition, the same on every run.
    fn sample(seed: u32, len: usize) -> Vec<u8> {
        let mut state = seed;
        let mut step = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let words: Vec<String> = (0..200).map(|_| format!("{:x}", step())).collect();
        let mut out = Vec::new();
        while out.len() < len {
            out.extend_from_slice(words[step() as usize % words.len()].as_bytes());
            out.push(b' ');
        }
        out.truncate(len);
        out
    }

    fn compressed(compression: Compression, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compression.compress(chunk, &mut out).unwrap();
        out
    }

    #[test]
    fn names_are_read_and_written() {
        for (text, expected) in [
            ("gzip", "gzip:2"),
            ("gzip:0", "gzip:0"),
            ("gzip:12", "gzip:12"),
            ("zstd", "zstd:3"),
            ("zstd:19", "zstd:19"),
            ("none", "none"),
        ] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), expected);
        }
        assert_eq!(Compression::default().to_string(), "gzip:2");
    }

    #[test]
    fn what_is_no_compression_is_refused_with_what_would_be() {
        let message = |text: &str| text.parse::<Compression>().unwrap_err().to_string();
        assert_eq!(message("lz4"), "expected `gzip`, `zstd` or `none`, found `lz4`");
        assert_eq!(message("gzip:13"), "expected a gzip level from 0 to 12, found `13`");
        assert_eq!(message("zstd:0"), "expected a zstd level from 1 to 19, found `0`");
        assert_eq!(message("zstd:"), "expected a zstd level from 1 to 19, found ``");
        assert_eq!(message("gzip:-1"), "expected a gzip level from 0 to 12, found `-1`");
        assert_eq!(message("none:1"), "`none` takes no level, found `1`");
    }

    #[test]
    fn what_is_written_is_detected_and_read_back() {
        let chunks = [sample(1, 100_000), Vec::new(), sample(2, 1)];
        for compression in all() {
            let blob: Vec<u8> = chunks.iter().flat_map(|chunk| compressed(compression, chunk)).collect();
            let mut back = Vec::new();
            decode(&blob[..]).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, chunks.concat(), "{compression}");
        }
    }

    #[test]
    fn the_buffer_and_what_was_in_it_do_not_matter() {
        let (a, b) = (sample(3, 300_000), sample(4, 70_000));
        for compression in all() {
            let mut out = vec![0xaa; 1 << 20];
            compression.compress(&b, &mut out).unwrap();
            compression.compress(&a, &mut out).unwrap();
            assert_eq!(out, compressed(compression, &a), "{compression}");
        }
    }

    #[test]
    fn a_gzip_header_says_nothing_of_the_machine() {
        let out = compressed(Compression::default(), b"x");
        assert_eq!(out[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn a_zstd_frame_has_its_size_and_no_checksum() {
        let out = compressed(Compression::zstd(3).unwrap(), &[0; 1000]);
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&out).unwrap(), Some(1000));
        assert_eq!(out[4] & 0b100, 0, "the checksum flag");
    }

    /// Digests of images rest on these: a new version of an encoder that moves a byte fails here.
    #[test]
    fn golden_bytes() {
        let chunk = sample(5, 400_000);
        let digests: Vec<String> =
            ["gzip:1", "gzip", "gzip:9", "gzip:12", "zstd:1", "zstd", "zstd:9", "zstd:19"]
                .iter()
                .map(|text| {
                    let out = compressed(text.parse().unwrap(), &chunk);
                    format!("{text} {} {}", out.len(), Digest::of(&out).short())
                })
                .collect();
        expect_test::expect![[r#"
            gzip:1 131817 e5a124ec90f0
            gzip 145936 cb0bab1a124e
            gzip:9 140778 8e762657a01d
            gzip:12 120163 7b36c4b50eca
            zstd:1 149799 44c76cadd4c2
            zstd 125817 caef1a0f410e
            zstd:9 129250 7ce00b159ab6
            zstd:19 116970 ec5770d0f595"#]]
        .assert_eq(&digests.join("\n"));
    }

    #[test]
    fn other_formats_are_detected() {
        for (first, format) in [
            (&b"BZh91AY"[..], Format::Bzip2),
            (b"\xfd7zXZ\0\0", Format::Xz),
            (b"\x1f\x8b\x07", Format::Plain),
            (b"", Format::Plain),
            (b"BZ", Format::Plain),
        ] {
            assert_eq!(Format::detect(first), format);
        }
    }

    #[test]
    fn damaged_streams_are_errors() {
        for compression in all() {
            if compression.is_none() {
                continue;
            }
            let whole = compressed(compression, &sample(6, 50_000));
            for blob in [&whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
                let read = decode(blob).and_then(|mut reader| io::copy(&mut reader, &mut io::sink()));
                assert!(read.is_err(), "{compression}: {} of {} bytes", blob.len(), whole.len());
            }
        }
    }

    #[test]
    fn an_xz_archive_may_not_ask_for_any_memory() {
        // A block header whose LZMA2 dictionary is 4 GiB - 1.
        let mut xz = b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36".to_vec();
        let mut block = vec![0x02, 0x00, 0x21, 0x01, 0x28, 0, 0, 0];
        block.extend(libdeflater::crc32(&block).to_le_bytes());
        xz.extend(block);
        let read = decode(&xz[..]).and_then(|mut reader| io::copy(&mut reader, &mut io::sink()));
        assert!(read.unwrap_err().to_string().contains("memory"));
    }
}

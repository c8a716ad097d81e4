//! Sparse files, in GNU tar's four ways to say them: a map of the regions that the body holds; all between is zeros.
//! ("Storing Sparse Files", GNU tar manual, appendix D)

use super::MAX_REGIONS;
use super::block::{Block, number};
use super::pax::{Pax, decimal};

/// The regions of a sparse file, in order, not overlapping, inside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) size: u64,
    /// Offset and length.
    pub(super) regions: Vec<(u64, u64)>,
}

impl Sparse {
    /// Takes regions for a file of `size` bytes of which the body has `stored`. `None` if they are no such map.
    fn new(size: u64, stored: u64, regions: Vec<(u64, u64)>) -> Option<Self> {
        let mut end = 0;
        let mut sum = 0_u64;
        for &(offset, len) in &regions {
            if offset < end {
                return None;
            }
            end = offset.checked_add(len).filter(|&end| end <= size)?;
            sum = sum.checked_add(len)?;
        }
        (sum == stored).then_some(Self { size, regions })
    }
}

/// What an entry's headers say of its sparseness.
pub(super) enum Form {
    Dense,
    /// The header itself has the first regions, the blocks after it the others.
    Old {
        size: u64,
    },
    /// PAX 0.0 and 0.1: the PAX header has all regions.
    Pax {
        size: u64,
        regions: Vec<(u64, u64)>,
    },
    /// PAX 1.0: the body begins with the map.
    InBody {
        size: u64,
    },
}

impl Form {
    /// `None` if the headers contradict themselves.
    pub(super) fn of(block: &Block, pax: &Pax) -> Option<Self> {
        if block.kind() == b'S' {
            let size = number(&block.0.as_bytes()[483..495])?;
            return Some(Self::Old { size: u64::try_from(size).ok().filter(|_| block.is_gnu())? });
        }
        let get = |key| pax.number(key).ok();
        match (pax.get("GNU.sparse.major"), pax.get("GNU.sparse.minor")) {
            (Some(b"1"), Some(b"0")) => Some(Self::InBody { size: get("GNU.sparse.realsize")?? }),
            (None | Some(b"0"), None | Some(b"0" | b"1")) => {
                let Some(size) = get("GNU.sparse.size")? else { return Some(Self::Dense) };
                Some(Self::Pax { size, regions: pax_regions(pax)? })
            }
            _ => None,
        }
    }
}

fn pax_regions(pax: &Pax) -> Option<Vec<(u64, u64)>> {
    let numbers: Vec<&[u8]> = match pax.get("GNU.sparse.map") {
        Some(map) => map.split(|&b| b == b',').collect(),
        None => pax.regions.iter().map(|value| &value[..]).collect(),
    };
    let numbers: Vec<u64> = numbers.into_iter().map(decimal).collect::<Result<_, ()>>().ok()?;
    let count = pax.number("GNU.sparse.numblocks").ok()?;
    if !numbers.len().is_multiple_of(2) || count.is_some_and(|count| count != numbers.len() as u64 / 2) {
        return None;
    }
    Some(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Builds the map of a file as its blocks come.
pub(super) struct Builder {
    size: u64,
    regions: Vec<(u64, u64)>,
}

impl Builder {
    pub(super) fn new(size: u64, regions: Vec<(u64, u64)>) -> Self {
        Self { size, regions }
    }

    /// Takes the regions of an old header (`at` 386) or of a block that continues it (`at` 0): `count` pairs of twelve
    /// bytes each, up to the first empty one. Says whether another block follows; `None` if they are malformed.
    pub(super) fn old(&mut self, bytes: &[u8; 512], at: usize, count: usize) -> Option<bool> {
        for pair in bytes[at..at + count * 24].chunks_exact(24).take_while(|pair| pair[0] != 0) {
            let region = |field| u64::try_from(number(field)?).ok();
            self.push((region(&pair[..12])?, region(&pair[12..])?))?;
        }
        Some(bytes[at + count * 24] != 0)
    }

    pub(super) fn push(&mut self, region: (u64, u64)) -> Option<()> {
        self.regions.push(region);
        (self.regions.len() <= MAX_REGIONS).then_some(())
    }

    pub(super) fn finish(self, stored: u64) -> Option<Sparse> {
        Sparse::new(self.size, stored, self.regions)
    }
}

/// Reads the numbers of a PAX 1.0 map, one a line, from the blocks that it takes.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    numbers: Vec<u64>,
    count: Option<u64>,
}

impl Lines {
    /// Takes a block; says whether the map is complete. `None` if it is malformed.
    pub(super) fn block(&mut self, bytes: &[u8; 512]) -> Option<bool> {
        for &byte in bytes {
            if self.is_complete() {
                break;
            }
            match byte {
                b'\n' => self.end_line()?,
                b'0'..=b'9' if self.line.len() < 20 => self.line.push(byte),
                _ => return None,
            }
        }
        Some(self.is_complete())
    }

    fn end_line(&mut self) -> Option<()> {
        let number = decimal(&self.line).ok()?;
        self.line.clear();
        match self.count {
            None => self.count = Some(number).filter(|&count| count <= MAX_REGIONS as u64),
            Some(_) => self.numbers.push(number),
        }
        self.count.map(|_| ())
    }

    fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.numbers.len() as u64 == 2 * count)
    }

    pub(super) fn regions(&self) -> Vec<(u64, u64)> {
        self.numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_must_be_one() {
        assert!(Sparse::new(10, 4, vec![(0, 2), (5, 2), (10, 0)]).is_some());
        for (size, stored, regions) in [
            (10, 4, vec![(5, 2), (0, 2)]),
            (10, 4, vec![(0, 3), (2, 1)]),
            (10, 4, vec![(8, 4)]),
            (10, 5, vec![(0, 4)]),
            (10, 4, vec![(u64::MAX, 4)]),
            (u64::MAX, 4, vec![(0, u64::MAX), (u64::MAX, 5)]),
        ] {
            assert!(Sparse::new(size, stored, regions.clone()).is_none(), "{regions:?} was taken");
        }
    }

    #[test]
    fn lines_without_end_are_refused() {
        let mut block = [b'0'; 512];
        assert!(Lines::default().block(&block).is_none(), "a line too long");
        block[..9].copy_from_slice(b"99999999\n");
        assert!(Lines::default().block(&block).is_none(), "too many regions");
    }
}

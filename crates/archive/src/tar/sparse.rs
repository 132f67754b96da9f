//! Maps of sparse files: which parts of a file the archive holds.

use super::number;

/// A part of a file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// More extents than this are no map that anybody meant.
pub(super) const MOST_EXTENTS: usize = 1 << 20;

/// Whether the extents are in order, do not overlap, end within `size` and
/// hold `stored` bytes together; the reason if not.
pub(super) fn check(extents: &[Extent], size: u64, stored: u64) -> Result<(), &'static str> {
    let (mut end, mut sum) = (0u64, 0u64);
    for extent in extents {
        if extent.offset < end {
            return Err("sparse map is not in order");
        }
        end = extent
            .offset
            .checked_add(extent.length)
            .filter(|end| *end <= size)
            .ok_or("sparse map reaches beyond the end of the file")?;
        sum += extent.length;
    }
    if sum == stored {
        Ok(())
    } else {
        Err("sparse map does not fit the data")
    }
}

/// GNU's old format: places of twelve bytes offset and twelve bytes length.
/// A place that is all NUL ends the map.
pub(super) fn parse_old(places: &[u8], extents: &mut Vec<Extent>) -> Result<(), &'static str> {
    for place in places.chunks_exact(24) {
        if place.iter().all(|byte| *byte == 0) {
            break;
        }
        let read = |field| {
            number::parse_field(field)
                .and_then(|value| u64::try_from(value).ok())
                .ok_or("sparse map with a bad number")
        };
        push(extents, read(&place[..12])?, read(&place[12..])?)?;
    }
    Ok(())
}

/// Formats 0.0 and 0.1: offsets and lengths in turns, already joined by commas.
pub(super) fn parse_list(text: &[u8]) -> Result<Vec<Extent>, &'static str> {
    let mut extents = Vec::new();
    if text.is_empty() {
        return Ok(extents);
    }
    let mut numbers = text.split(|byte| *byte == b',');
    while let Some(offset) = numbers.next() {
        let length = numbers.next().ok_or("sparse map with an odd end")?;
        let (offset, length) = number::parse_decimal(offset)
            .zip(number::parse_decimal(length))
            .ok_or("sparse map with a bad number")?;
        push(&mut extents, offset, length)?;
    }
    Ok(extents)
}

/// Adds an extent, within bounds. An empty one says nothing but where the file
/// ends, which is known.
pub(super) fn push(
    extents: &mut Vec<Extent>,
    offset: u64,
    length: u64,
) -> Result<(), &'static str> {
    if extents.len() >= MOST_EXTENTS {
        return Err("sparse map is too long");
    }
    if length > 0 {
        extents.push(Extent { offset, length });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn maps_must_be_ordered_and_fit() {
        assert!(check(&[], 10, 0).is_ok());
        assert!(check(&[extent(0, 4), extent(4, 2)], 10, 6).is_ok());
        for (extents, stored) in [
            (vec![extent(4, 2), extent(0, 4)], 6),
            (vec![extent(0, 5), extent(4, 2)], 7),
            (vec![extent(9, 2)], 2),
            (vec![extent(u64::MAX, 2)], 2),
            (vec![extent(0, 2)], 3),
        ] {
            assert!(check(&extents, 10, stored).is_err(), "{extents:?}");
        }
    }

    #[test]
    fn lists_are_pairs() {
        assert_eq!(parse_list(b"").unwrap(), []);
        assert_eq!(
            parse_list(b"0,5,10,0").unwrap(),
            [extent(0, 5)],
            "the empty last extent only marks the end"
        );
        assert!(parse_list(b"0").is_err());
        assert!(parse_list(b"0,x").is_err());
        assert!(parse_list(b"0,-1").is_err());
    }
}

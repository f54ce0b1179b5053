//! Loads lists whose rows may contain long texts, and stops when the response is full.

use diesel::QueryResult;

/// The first `limit` rows, or fewer if their texts exceed `room` bytes in total, but at least one; and
/// whether there are more. `size` returns the approximate number of bytes of a row.
///
/// # Errors
/// A row cannot be read.
pub fn load_bounded<T>(
    rows: impl IntoIterator<Item = QueryResult<T>>,
    limit: usize,
    room: usize,
    size: impl Fn(&T) -> usize,
) -> QueryResult<(Vec<T>, bool)> {
    let (mut found, mut room) = (Vec::new(), Some(room));
    for row in rows {
        let row = row?;
        room = room.and_then(|room| room.checked_sub(size(&row)));
        if found.len() >= limit || (room.is_none() && !found.is_empty()) {
            return Ok((found, true));
        }
        found.push(row);
    }
    Ok((found, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_far_as_there_is_room_and_one_in_any_case() {
        let load = |sizes: &[usize], limit, room| {
            let read = std::cell::Cell::new(0);
            let rows = sizes.iter().map(|size| {
                read.set(read.get() + 1);
                Ok(*size)
            });
            let (found, has_more) = load_bounded(rows, limit, room, |size| *size).unwrap();
            (found, has_more, read.get())
        };
        assert_eq!(load(&[3, 4, 5, 1], 10, 8), (vec![3, 4], true, 3));
        assert_eq!(load(&[3, 4, 1], 10, 8), (vec![3, 4, 1], false, 3));
        assert_eq!(load(&[3, 4, 1, 9], 3, 100), (vec![3, 4, 1], true, 4));
        assert_eq!(load(&[9, 1], 10, 8), (vec![9], true, 2));
        assert_eq!(load(&[9], 10, 8), (vec![9], false, 1));
        assert_eq!(load(&[], 10, 8), (vec![], false, 0));
        let broken = [Ok(1), Err(diesel::result::Error::NotFound)];
        assert!(load_bounded(broken, 10, 8, |size| *size).is_err());
    }
}

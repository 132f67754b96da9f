//! Columns: Go's `tabwriter` as Docker sets it (at least 10 wide, 3 apart).

/// Aligns the tab-separated cells of `rows`. A column ends where a row has no
/// cell in it that a tab follows, as in Go.
pub(crate) fn align(rows: &[String], least: usize, gap: usize) -> String {
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = cells.iter().map(|row| vec![0; row.len()]).collect();
    measure(&cells, &mut widths, 0, 0, cells.len(), (least, gap));
    let mut out = String::new();
    for (row, widths) in cells.iter().zip(&widths) {
        for (index, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if index + 1 < row.len() {
                let pad = widths[index].saturating_sub(cell.chars().count());
                out.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.push('\n');
    }
    out
}

/// Sets the width of `column` for each run of rows that have it.
fn measure(
    cells: &[Vec<&str>],
    widths: &mut [Vec<usize>],
    column: usize,
    start: usize,
    end: usize,
    shape: (usize, usize),
) {
    let mut row = start;
    while row < end {
        if column + 1 >= cells[row].len() {
            row += 1;
            continue;
        }
        let run = row;
        let mut width = 0;
        while row < end && column + 1 < cells[row].len() {
            width = width.max(cells[row][column].chars().count() + shape.1);
            row += 1;
        }
        for line in &mut widths[run..row] {
            line[column] = width.max(shape.0);
        }
        measure(cells, widths, column + 1, run, row, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_ten_wide_and_three_apart() {
        let rows = ["A\tLONGER COLUMN\tC", "123456789012\tx\ty"].map(str::to_owned);
        assert_eq!(
            align(&rows, 10, 3),
            "A              LONGER COLUMN   C\n123456789012   x               y\n"
        );
        let rows = ["IMAGE\tTAG", "bb\t"].map(str::to_owned);
        assert_eq!(align(&rows, 10, 3), "IMAGE     TAG\nbb        \n");
    }
}

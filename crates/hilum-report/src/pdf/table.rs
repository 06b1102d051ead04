//! Tables on the page: column widths, broken cells, heads repeated on every page.

use super::flow::Flow;
use super::ink;
use super::paper::{MARGIN, Op, Role, Style, WIDTH};
use crate::document::{Cell, Column, ColumnKind, Row, Table};

const TEXT: Style = Style::regular(7.6, ink::INK);
const TOTAL: Style = Style::semibold(7.6, ink::INK);
const CODE: Style = Style::regular(6.4, ink::INK);
const HEAD: Style = Style::semibold(7.0, ink::SOFT);
const PAD: f32 = 3.2;
const SWATCH: f32 = 9.0;
/// Tables up to this height are not broken over pages.
const IN_ONE_PIECE: f32 = 215.0;

/// Sets a table with its notes.
pub(super) fn set(flow: &mut Flow, table: &Table) {
    let widths = widths(table);
    let setter = Setter { columns: &table.columns, widths: &widths, number: flow.next_table() };
    let head = head(table);
    flow.need(setter.least_height(table));
    setter.row(flow, &head, 0, true);
    for (i, row) in table.rows.iter().enumerate() {
        if flow.need(setter.height(row, false)) {
            setter.row(flow, &head, 0, true);
        }
        setter.row(flow, row, i + 1, false);
    }
    flow.gap(3.0);
    for note in &table.notes {
        flow.paragraph(&note.as_str().into(), Style::regular(7.6, ink::SOFT));
    }
}

/// Room a table needs on the page it starts on.
pub(super) fn least_height(table: &Table) -> f32 {
    Setter { columns: &table.columns, widths: &widths(table), number: 0 }.least_height(table)
}

fn widths(table: &Table) -> Vec<f32> {
    let total: f32 = table.columns.iter().map(|c| c.weight).sum();
    table.columns.iter().map(|c| WIDTH * c.weight / total).collect()
}

fn head(table: &Table) -> Row {
    Row { cells: table.columns.iter().map(|c| Cell::from(c.title.clone())).collect(), is_total: false }
}

struct Setter<'a> {
    columns: &'a [Column],
    widths: &'a [f32],
    number: usize,
}

impl Setter<'_> {
    fn style(&self, column: usize, row: &Row, is_head: bool) -> Style {
        match (is_head, row.is_total, self.columns[column].kind) {
            (true, ..) => HEAD,
            (_, true, _) => TOTAL,
            (_, _, ColumnKind::Code) => CODE,
            _ => TEXT,
        }
    }

    fn lines(&self, column: usize, row: &Row, is_head: bool) -> Vec<String> {
        let cell = &row.cells[column];
        let room = self.widths[column] - 2.0 * PAD - if cell.swatch.is_some() { SWATCH } else { 0.0 };
        let is_code = self.columns[column].kind == ColumnKind::Code && !is_head;
        self.style(column, row, is_head).lines(&cell.text.text, room, is_code)
    }

    fn height(&self, row: &Row, is_head: bool) -> f32 {
        let tallest = (0..self.columns.len())
            .map(|c| self.lines(c, row, is_head).len() as f32 * self.style(c, row, is_head).line())
            .fold(0.0, f32::max);
        tallest + 2.0 * PAD - 1.0
    }

    /// A short table stays in one piece; of a long one the head never stands alone.
    fn least_height(&self, table: &Table) -> f32 {
        let head = self.height(&head(table), true);
        let rows: Vec<f32> = table.rows.iter().map(|r| self.height(r, false)).collect();
        let whole = head + rows.iter().sum::<f32>();
        if whole <= IN_ONE_PIECE { whole } else { head + rows.first().copied().unwrap_or(0.0) }
    }

    fn row(&self, flow: &mut Flow, row: &Row, index: usize, is_head: bool) {
        let height = self.height(row, is_head);
        let top = flow.y();
        if row.is_total {
            flow.put(Role::Layout, vec![Op::Box { area: [MARGIN, top, WIDTH, height], ink: ink::SHEET }]);
        }
        let mut x = MARGIN;
        for (column, cell) in row.cells.iter().enumerate() {
            let lines = self.lines(column, row, is_head);
            let ops = self.cell(cell, &lines, [x, top, height], column, row, is_head);
            let role = Role::Cell { table: self.number, row: index, column, is_head, is_foreign: cell.text.is_foreign };
            flow.put(role, ops);
            x += self.widths[column];
        }
        let rule = if is_head { (ink::SOFT, 0.8) } else { (ink::LINE, 0.5) };
        let (y, right) = (top + height, MARGIN + WIDTH);
        flow.put(Role::Layout, vec![Op::Line { points: vec![[MARGIN, y], [right, y]], ink: rule.0, width: rule.1 }]);
        flow.gap(height);
    }

    fn cell(
        &self,
        cell: &Cell,
        lines: &[String],
        [x, top, height]: [f32; 3],
        column: usize,
        row: &Row,
        is_head: bool,
    ) -> Vec<Op> {
        let style = self.style(column, row, is_head);
        // Heads stand on their rule, everything else hangs from the one above.
        let down = if is_head { height - PAD - lines.len() as f32 * style.line() } else { PAD - 1.0 };
        let mut left = x + PAD;
        let mut ops = Vec::new();
        if let Some(colour) = cell.swatch {
            let side = 5.6;
            ops.push(Op::Box { area: [left, top + down + style.size - side + 0.4, side, side], ink: colour });
            left += SWATCH;
        }
        for (i, line) in lines.iter().enumerate() {
            let at = match self.columns[column].kind {
                ColumnKind::Number => x + self.widths[column] - PAD - style.width(line),
                ColumnKind::Words | ColumnKind::Code => left,
            };
            ops.push(style.at([at, top + down + style.size + i as f32 * style.line()], line.clone()));
        }
        ops
    }
}

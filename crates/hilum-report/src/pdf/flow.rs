//! Content flowing down the pages.

use super::ink;
use super::paper::{BOTTOM, MARGIN, Op, PAGE, Page, Piece, Role, Style, TOP, WIDTH};
use super::table;
use crate::canvas::Rgb;
use crate::chart::{Anchor, Chart, Mark};
use crate::document::{Block, Document, Figure, NoteLine, Section, Text, Triage};
use crate::font::{Face, printable};
use crate::picture::{Kind, Picture, rows};
use crate::wording::Phrase;

const BODY: Style = Style::regular(8.6, ink::INK);
const SMALL: Style = Style::regular(7.6, ink::SOFT);
const GAP: f32 = 8.0;
const CHART_HEAD: Style = Style::semibold(8.6, ink::INK);
const CHART_GAP: f32 = 18.0;
/// Highest row of pictures.
const ROW_MAX: f32 = 166.0;
/// Highest row of renderings, which show the whole rather than detail.
const RENDERED_MAX: f32 = 136.0;
/// Rows are not made smaller than this share of their height to fit a page.
const SHRINK_TO: f32 = 0.72;

/// The pages of a document.
pub(super) fn laid_out(document: &Document) -> Vec<Page> {
    let mut flow = Flow { pages: vec![Page::default()], y: TOP, tables: 0, pictures: 0 };
    flow.title(document);
    for section in &document.sections {
        flow.section(section);
    }
    let mut pages = flow.pages;
    let count = pages.len();
    for (i, page) in pages.iter_mut().enumerate() {
        running(page, document, i + 1, count);
    }
    pages
}

/// Every picture of a document, in the order of its galleries.
pub(super) fn pictures<'a>(document: &'a Document) -> impl Iterator<Item = &'a Picture> {
    document.sections.iter().flat_map(|s| &s.blocks).flat_map(|b| match b {
        Block::Gallery { pictures, .. } => *pictures,
        _ => &[],
    })
}

/// The notice at the head and the page number at the foot.
fn running(page: &mut Page, document: &Document, number: usize, count: usize) {
    let notice = Style::semibold(8.0, ink::MARK);
    let text = printable(&document.disclaimer_short);
    let x = (PAGE[0] - notice.width(&text)) / 2.0;
    let numbers = [("page", number.to_string()), ("pages", count.to_string())];
    let of = Phrase::PageOf.fill(document.language, &[("page", &numbers[0].1), ("pages", &numbers[1].1)]);
    let foot = PAGE[1] - 26.0;
    let whom = document.subject.as_ref().map_or(document.title.as_str(), |subject| &subject.on_paper);
    let of_whom = SMALL.lines(&format!("{} · {whom}", document.software), WIDTH - SMALL.width(&of) - 12.0, false);
    let ops = vec![
        Op::Box { area: [0.0, 14.0, PAGE[0], 17.0], ink: ink::MARK_SHEET },
        notice.at([x, 25.4], text),
        Op::Line { points: vec![[MARGIN, foot - 12.0], [MARGIN + WIDTH, foot - 12.0]], ink: ink::LINE, width: 0.5 },
        SMALL.at([MARGIN, foot], of_whom.into_iter().next().unwrap_or_default()),
        SMALL.at([MARGIN + WIDTH - SMALL.width(&of), foot], of),
    ];
    page.pieces.insert(0, Piece { role: Role::Running, ops });
}

/// Where the next content goes.
pub(super) struct Flow {
    pages: Vec<Page>,
    y: f32,
    tables: usize,
    pictures: usize,
}

impl Flow {
    /// Height of the next content on its page.
    pub(super) fn y(&self) -> f32 {
        self.y
    }

    /// Leaves room.
    pub(super) fn gap(&mut self, height: f32) {
        self.y += height;
    }

    /// A number for another table.
    pub(super) fn next_table(&mut self) -> usize {
        self.tables += 1;
        self.tables
    }

    /// Turns the page if less than `height` is left, and says whether it did. What is higher than a page starts one.
    pub(super) fn need(&mut self, height: f32) -> bool {
        let turns = self.y + height > BOTTOM && self.y > TOP;
        if turns {
            self.pages.push(Page::default());
            self.y = TOP;
        }
        turns
    }

    /// Draws on the current page.
    pub(super) fn put(&mut self, role: Role, ops: Vec<Op>) {
        let page = self.pages.last_mut().expect("there is a page to draw on");
        page.pieces.push(Piece { role, ops });
    }

    /// A paragraph over the whole width.
    pub(super) fn paragraph(&mut self, text: &Text, style: Style) {
        self.indented(text, style, 0.0);
        self.gap(2.5);
    }

    fn indented(&mut self, text: &Text, style: Style, indent: f32) {
        let lines = style.lines(&text.text, WIDTH - indent, false);
        let height = lines.len() as f32 * style.line();
        self.need(height);
        let ops = style.set(&lines, MARGIN + indent, self.y);
        self.put(Role::Paragraph { is_foreign: text.is_foreign }, ops);
        self.gap(height);
    }

    fn title(&mut self, document: &Document) {
        let style = Style::semibold(17.0, ink::INK);
        let title = printable(&document.title);
        let op = style.at([MARGIN, self.y + 12.0], title.clone());
        self.put(Role::Heading(1, title), vec![op]);
        self.gap(18.0);
        if let Some(subject) = &document.subject {
            self.paragraph(&subject.on_paper.as_str().into(), Style::semibold(9.2, ink::INK));
        }
        self.paragraph(&document.subtitle.as_str().into(), SMALL);
        self.paragraph(&document.disclaimer.as_str().into(), Style::regular(7.6, ink::MARK));
    }

    fn section(&mut self, section: &Section) {
        self.gap(GAP);
        // A heading is not left alone at the foot of a page.
        self.need(20.0 + section.blocks.first().map_or(0.0, least_height));
        let style = Style::semibold(11.0, ink::INK);
        let (y, title) = (self.y, printable(&section.title));
        let page = self.pages.last_mut().expect("there is a page to draw on");
        page.bookmarks.push((title.clone(), y));
        let op = style.at([MARGIN, y + 10.0], title.clone());
        self.put(Role::Heading(2, title), vec![op]);
        let rule = vec![[MARGIN, y + 15.0], [MARGIN + WIDTH, y + 15.0]];
        self.put(Role::Layout, vec![Op::Line { points: rule, ink: ink::LINE, width: 0.7 }]);
        self.gap(20.0);
        for block in &section.blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Lead(sentences) => self.lead(sentences),
            Block::Triage(triage) => self.triage(triage),
            Block::Figures(figures) => self.figures(figures),
            Block::Paragraph(text) => self.paragraph(text, BODY),
            Block::Facts(facts) => self.facts(facts),
            Block::List { title, items } => self.list(title, items),
            Block::Notes(lines) => lines.iter().for_each(|line| self.note(line)),
            Block::Table(t) => table::set(self, t),
            Block::Charts(charts) => self.charts(charts),
            Block::Gallery { pictures, note, legend } => self.gallery(pictures, note, legend),
        }
    }

    /// The impression, with a bar at its side.
    fn lead(&mut self, sentences: &[Text]) {
        const INDENT: f32 = 11.0;
        let style = |i: usize| if i == 0 { Style::semibold(10.4, ink::INK) } else { Style::regular(9.2, ink::INK) };
        let height: f32 = sentences
            .iter()
            .enumerate()
            .map(|(i, s)| style(i).lines(&s.text, WIDTH - INDENT, false).len() as f32 * style(i).line() + 2.5)
            .sum();
        self.need(height);
        self.put(Role::Layout, vec![Op::Box { area: [MARGIN, self.y, 3.0, height], ink: ink::ACCENT }]);
        for (i, sentence) in sentences.iter().enumerate() {
            self.indented(sentence, style(i), INDENT);
            self.gap(2.5);
        }
        self.gap(4.0);
    }

    fn triage(&mut self, triage: &Triage) {
        let label = Style::semibold(9.2, ink::of_level(triage.level));
        let text = format!("{}: {}", triage.label, triage.priority);
        let reason = triage.reason.as_ref().map_or("", |r| r.text.as_str());
        let indent = label.width(&text) + 8.0;
        let lines = BODY.lines(reason, WIDTH - indent, false);
        self.need(lines.len() as f32 * BODY.line());
        let op = label.at([MARGIN, self.y + BODY.size], printable(&text));
        self.put(Role::Paragraph { is_foreign: false }, vec![op]);
        let is_foreign = triage.reason.as_ref().is_some_and(|r| r.is_foreign);
        let ops = BODY.set(&lines, MARGIN + indent, self.y);
        self.put(Role::Paragraph { is_foreign }, ops);
        self.gap(lines.len() as f32 * BODY.line() + 4.0);
    }

    /// The numbers to take away, side by side.
    fn figures(&mut self, figures: &[Figure]) {
        let (gap, height) = (5.0, 47.0);
        self.need(height + 4.0);
        let width = (WIDTH - gap * (figures.len().max(1) - 1) as f32) / figures.len().max(1) as f32;
        for (i, figure) in figures.iter().enumerate() {
            let x = MARGIN + i as f32 * (width + gap);
            self.put(Role::Layout, vec![Op::Box { area: [x, self.y, width, height], ink: ink::SHEET }]);
            let label = Style::regular(6.6, ink::SOFT);
            let lines = label.lines(&figure.label, width - 10.0, false);
            let mut ops = label.set(&lines[..lines.len().min(2)], x + 5.0, self.y + 3.0);
            ops.push(Style::semibold(13.0, ink::INK).at([x + 5.0, self.y + 34.0], printable(&figure.value)));
            ops.push(label.at([x + 5.0, self.y + 43.0], printable(&figure.detail)));
            self.put(Role::Paragraph { is_foreign: false }, ops);
        }
        self.gap(height + 6.0);
    }

    /// Names and values, the names in a column of their own.
    fn facts(&mut self, facts: &[(String, Text)]) {
        const NAMES: f32 = 138.0;
        let (name_style, style) = (Style::regular(7.3, ink::SOFT), Style::regular(7.3, ink::INK));
        for (name, value) in facts {
            let names = name_style.lines(name, NAMES - 8.0, false);
            let lines = style.lines(&value.text, WIDTH - NAMES, false);
            let height = (lines.len().max(names.len())) as f32 * style.line() + 1.6;
            self.need(height);
            let ops = name_style.set(&names, MARGIN, self.y);
            self.put(Role::Paragraph { is_foreign: false }, ops);
            let ops = style.set(&lines, MARGIN + NAMES, self.y);
            self.put(Role::Paragraph { is_foreign: value.is_foreign }, ops);
            self.gap(height);
        }
    }

    fn list(&mut self, title: &str, items: &[Text]) {
        let style = Style::semibold(8.6, ink::INK);
        self.gap(2.0);
        self.need(style.line() + 2.0 * BODY.line());
        let op = style.at([MARGIN, self.y + style.size], printable(title));
        self.put(Role::Heading(3, printable(title)), vec![op]);
        self.gap(style.line() + 1.0);
        for item in items {
            let lines = BODY.lines(&item.text, WIDTH - 10.0, false);
            let height = lines.len() as f32 * BODY.line();
            self.need(height);
            let dot = BODY.at([MARGIN + 2.0, self.y + BODY.size], "•".to_string());
            let mut ops = vec![dot];
            ops.extend(BODY.set(&lines, MARGIN + 10.0, self.y));
            self.put(Role::Paragraph { is_foreign: item.is_foreign }, ops);
            self.gap(height + 0.8);
        }
        self.gap(2.0);
    }

    fn note(&mut self, note: &NoteLine) {
        const NAMES: f32 = 84.0;
        let ink = ink::of_level(note.level);
        let lines = BODY.lines(&note.text.text, WIDTH - NAMES, false);
        let height = lines.len() as f32 * BODY.line();
        self.need(height);
        self.put(Role::Layout, vec![Op::Box { area: [MARGIN, self.y + 1.0, 2.5, height - 1.0], ink }]);
        let op = Style::semibold(8.2, ink).at([MARGIN + 8.0, self.y + BODY.size], printable(&note.severity));
        self.put(Role::Paragraph { is_foreign: false }, vec![op]);
        let ops = BODY.set(&lines, MARGIN + NAMES, self.y);
        self.put(Role::Paragraph { is_foreign: note.text.is_foreign }, ops);
        self.gap(height + 3.0);
    }

    fn charts(&mut self, charts: &[Chart]) {
        let (scale, height, head) = (chart_scale(), chart_height(), CHART_HEAD);
        for pair in charts.chunks(2) {
            self.need(height);
            for (i, chart) in pair.iter().enumerate() {
                let x = MARGIN + i as f32 * (Chart::WIDTH * scale + CHART_GAP);
                let title = printable(&chart.title);
                let op = head.at([x, self.y + head.size], title.clone());
                self.put(Role::Heading(3, title), vec![op]);
                let top = self.y + head.line() + 4.0;
                let ops = chart.marks.iter().map(|m| mark(m, [x, top], scale)).collect();
                self.put(Role::Figure(chart.alt.clone()), ops);
            }
            self.gap(height + 4.0);
        }
    }

    /// Pictures in rows of one height, as wide as the page.
    fn gallery(&mut self, pictures: &[Picture], note: &str, legend: &[(Rgb, String)]) {
        self.legend(note, legend);
        for row in rows(pictures) {
            let gap = 6.0;
            let aspects: f32 = row.iter().map(|p| p.aspect()).sum();
            let room = WIDTH - gap * (row.len() - 1) as f32;
            // A row of narrow pictures would fill the page.
            let is_rendered = row.iter().all(|p| p.kind == Kind::Rendered);
            let height = (room / aspects).min(if is_rendered { RENDERED_MAX } else { ROW_MAX });
            // A row that would just miss the foot of the page is made a little smaller instead.
            let left = BOTTOM - self.y - 3.0 * SMALL.line() - 8.0;
            let height = if left < height && left >= SHRINK_TO * height { left } else { height };
            let captions: Vec<Vec<String>> = row
                .iter()
                .map(|p| SMALL.lines(&format!("{}. {}", p.title, p.caption), height * p.aspect(), false))
                .collect();
            let text = captions.iter().map(Vec::len).max().unwrap_or(0) as f32 * SMALL.line();
            self.need(height + text + 6.0);
            let mut x = MARGIN;
            for (picture, caption) in row.iter().zip(&captions) {
                let width = height * picture.aspect();
                let image = Op::Image { area: [x, self.y, width, height], index: self.pictures };
                self.put(Role::Figure(picture.alt.clone()), vec![image]);
                let ops = SMALL.set(caption, x, self.y + height + 2.0);
                self.put(Role::Paragraph { is_foreign: false }, ops);
                self.pictures += 1;
                x += width + gap;
            }
            self.gap(height + text + 8.0);
        }
    }

    fn legend(&mut self, note: &str, legend: &[(Rgb, String)]) {
        self.need(2.0 * SMALL.line());
        let mut x = MARGIN;
        let mut ops = Vec::new();
        for (colour, name) in legend {
            let name = printable(name);
            ops.push(Op::Box { area: [x, self.y + 1.8, 6.2, 6.2], ink: *colour });
            ops.push(SMALL.at([x + 9.5, self.y + SMALL.size], name.clone()));
            x += 9.5 + SMALL.width(&name) + 14.0;
        }
        self.put(Role::Paragraph { is_foreign: false }, ops);
        self.gap(SMALL.line());
        self.paragraph(&note.into(), SMALL);
        self.gap(1.0);
    }
}

/// Room that the beginning of a block needs below its heading.
fn least_height(block: &Block) -> f32 {
    match block {
        Block::Gallery { pictures, .. } => {
            let aspects = rows(pictures).first().map_or(1.0, |row| row.iter().map(Picture::aspect).sum::<f32>());
            (WIDTH / aspects).min(ROW_MAX) + 4.0 * SMALL.line()
        }
        Block::Charts(_) => chart_height(),
        Block::Table(table) => table::least_height(table),
        _ => 44.0,
    }
}

/// Height of a chart with its title.
fn chart_height() -> f32 {
    CHART_HEAD.line() + 4.0 + Chart::HEIGHT * chart_scale()
}

/// Points per unit of a chart's sheet when two stand side by side.
fn chart_scale() -> f32 {
    0.5 * (WIDTH - CHART_GAP) / Chart::WIDTH
}

/// A mark of a chart whose sheet lies at `corner`.
fn mark(mark: &Mark, corner: [f32; 2], scale: f32) -> Op {
    let place = |[x, y]: [f32; 2]| [corner[0] + x * scale, corner[1] + y * scale];
    let placed = |points: &[[f32; 2]]| points.iter().map(|p| place(*p)).collect();
    match mark {
        Mark::Area { points, ink: of } => {
            Op::Shape { points: placed(points), ink: ink::of_chart(*of), opacity: ink::chart_opacity(*of) }
        }
        Mark::Line { points, ink: of, width } => {
            Op::Line { points: placed(points), ink: ink::of_chart(*of), width: width * scale }
        }
        Mark::Text { at, anchor, text } => {
            let style = Style { size: Chart::TEXT * scale, face: Face::Regular, ink: ink::SOFT, leading: 1.0 };
            let [x, y] = place(*at);
            let width = style.width(text);
            let x = match anchor {
                Anchor::Start => x,
                Anchor::Middle => x - width / 2.0,
                Anchor::End => x - width,
            };
            style.at([x, y], printable(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::laid_out;
    use crate::pdf::paper::{BOTTOM, Op, PAGE, Role, TOP};
    use crate::{Language, content};
    use hilum_findings::{Definition, Findings, Note, Severity};

    /// Findings of a refused study with more remarks than fit a page.
    fn long() -> Findings {
        let mut findings = Findings::default();
        for i in 0..90 {
            findings.quality.reasons.push(Note::new(format!("n{i}"), Severity::Warning, format!("Remark number {i}.")));
            findings.definitions.push(Definition {
                field: format!("field{i}"),
                name: format!("Quantity {i}"),
                text: "How it is computed, in a sentence that is long enough to be broken into several lines. "
                    .repeat(3),
                source: None,
                assumption: false,
            });
        }
        findings
    }

    /// With the longest names and numbers that DICOM allows (PS3.5, 6.2).
    fn somebody() -> crate::Subject {
        let long = |n: usize| Some("Wm".repeat(n / 2));
        crate::Subject {
            patient_name: long(64),
            patient_id: long(64),
            birth_date: Some("19700101".into()),
            sex: Some("F".into()),
            study_date: Some("20261120".into()),
            accession_number: long(16),
        }
    }

    #[test]
    fn every_page_has_the_notice_and_its_number() {
        let document = content::document(&long(), None, &[], Language::English);
        let pages = laid_out(&document);
        assert!(pages.len() >= 4, "{} pages", pages.len());
        for (i, page) in pages.iter().enumerate() {
            let running = page.pieces.iter().filter(|p| p.role == Role::Running).flat_map(|p| &p.ops);
            let text: Vec<&str> = running
                .filter_map(|op| if let Op::Text { text, .. } = op { Some(text.as_str()) } else { None })
                .collect();
            assert!(text.contains(&"Research use only – not a medical device"), "page {}", i + 1);
            assert!(text.contains(&format!("Page {} of {}", i + 1, pages.len()).as_str()));
        }
    }

    #[test]
    fn nothing_leaves_the_page() {
        for language in Language::ALL {
            for page in laid_out(&content::document(&long(), Some(&somebody()), &[], language)) {
                for piece in page.pieces.iter().filter(|p| p.role != Role::Running) {
                    for op in &piece.ops {
                        let Op::Text { at: [x, y], size, face, text, .. } = op else { continue };
                        let right = x + face.width(text, *size);
                        assert!(*x >= 0.0 && right <= PAGE[0] - 30.0, "{text:?} ends at {right}");
                        assert!(*y > TOP - 10.0 && *y <= BOTTOM + 3.0, "{text:?} at {y}");
                    }
                }
            }
        }
    }
}

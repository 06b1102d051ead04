//! The structure of the document for screen readers: headings, paragraphs, figures with their descriptions, tables.

use std::num::NonZeroU16;

use krilla::tagging::{Identifier, Node, TableHeaderScope, Tag, TagGroup, TagKind, TagTree};

use super::paper::Role;

/// The tree under construction, in reading order.
pub(super) struct Tree {
    nodes: Vec<Node>,
    table: Option<OpenTable>,
    language: &'static str,
}

/// A table whose cells are still coming in, row by row.
struct OpenTable {
    number: usize,
    row: usize,
    rows: Vec<Vec<TagGroup>>,
}

impl Tree {
    /// An empty tree of a document in `language`.
    pub(super) fn new(language: &'static str) -> Self {
        Self { nodes: Vec::new(), table: None, language }
    }

    /// Appends the content marked by `identifier`.
    pub(super) fn push(&mut self, role: &Role, identifier: Identifier) {
        if let Role::Cell { table, row, column, is_head, is_foreign } = role {
            let group = cell(*column, *is_head, *is_foreign, identifier);
            self.push_cell(*table, *row, group);
            return;
        }
        let group = match role {
            Role::Layout | Role::Running | Role::Cell { .. } => return,
            Role::Heading(level, title) => {
                let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
                TagGroup::with_children(Tag::Hn(level, Some(title.clone())), vec![identifier.into()])
            }
            Role::Paragraph { is_foreign } => {
                TagGroup::with_children(Tag::P.with_lang(foreign(*is_foreign)), vec![identifier.into()])
            }
            Role::Figure(alt) => TagGroup::with_children(Tag::Figure(Some(alt.clone())), vec![identifier.into()]),
        };
        self.close_table();
        self.nodes.push(group.into());
    }

    fn push_cell(&mut self, table: usize, row: usize, group: TagGroup) {
        if self.table.as_ref().is_none_or(|t| t.number != table) {
            self.close_table();
            self.table = Some(OpenTable { number: table, row, rows: vec![Vec::new()] });
        }
        if let Some(open) = &mut self.table {
            if open.row != row {
                open.row = row;
                open.rows.push(Vec::new());
            }
            open.rows.last_mut().expect("a table starts with a row").push(group);
        }
    }

    fn close_table(&mut self) {
        if let Some(table) = self.table.take() {
            let rows = table.rows.into_iter().map(|cells| {
                let cells: Vec<Node> = cells.into_iter().map(Node::from).collect();
                Node::from(TagGroup::with_children(Tag::TR, cells))
            });
            self.nodes.push(TagGroup::with_children(Tag::Table, rows.collect()).into());
        }
    }

    /// The finished tree.
    pub(super) fn finish(mut self) -> TagTree {
        self.close_table();
        let mut tree = TagTree::new().with_lang(Some(self.language.to_string()));
        for node in self.nodes {
            tree.push(node);
        }
        tree
    }
}

fn cell(column: usize, is_head: bool, is_foreign: bool, identifier: Identifier) -> TagGroup {
    let kind: TagKind = if is_head {
        Tag::TH(TableHeaderScope::Column).into()
    } else if column == 0 {
        Tag::TH(TableHeaderScope::Row).into()
    } else {
        Tag::TD.with_lang(foreign(is_foreign)).into()
    };
    TagGroup::with_children(kind, vec![identifier.into()])
}

fn foreign(is_foreign: bool) -> Option<String> {
    is_foreign.then(|| "en".to_string())
}

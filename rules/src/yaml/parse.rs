//! Text to tree.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::node::{Entry, Node, Value};
use super::scalar::Scalar;
use super::{Problem, Problems, Span};

/// How deep maps and lists may stand in each other.
const DEEPEST_NESTING: usize = 64;
/// How many nodes a file may have once its aliases are written out.
const MOST_NODES: usize = 200_000;

/// The text of a file.
///
/// # Errors
/// The place of the first byte that is not UTF-8.
pub fn decode(file: &str, bytes: &[u8]) -> Result<String, Problems> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or(&[]));
            let line = good.matches('\n').count() + 1;
            let column = good
                .rsplit('\n')
                .next()
                .map_or(0, |last| last.chars().count())
                + 1;
            let problem = Problem::new(file, Span { line, column }, "the file is not UTF-8 here");
            Err(problem
                .with_hint("save the file with the encoding UTF-8".to_owned())
                .into())
        }
    }
}

/// Reads one YAML document. `file` is its name in problems.
///
/// An empty file is a null.
///
/// # Errors
/// All duplicate keys and the like; the first place at which the text is not YAML.
pub fn parse(file: &str, text: &str) -> Result<Node, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(file);
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, place)) => builder.event(event, span(&place.start)),
            Err(error) => Err(syntax_problem(file, text, &error)),
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            return Err(builder.finish().1);
        }
    }
    let (root, problems) = builder.finish();
    problems.into_result(root)
}

fn span(marker: &Marker) -> Span {
    Span {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn syntax_problem(file: &str, text: &str, error: &saphyr_parser::ScanError) -> Problem {
    let place = span(error.marker());
    let message = format!("this is not YAML: {}", error.info());
    // The scanner stops at or just behind the line whose indentation has the tab.
    let near = place.line.saturating_sub(2)..place.line;
    let tab = near.clone().find_map(|index| {
        let line = text.lines().nth(index)?;
        let indentation: &str = line.split(|c: char| !c.is_whitespace()).next()?;
        let column = indentation.chars().position(|c| c == '\t')? + 1;
        Some(Span {
            line: index + 1,
            column,
        })
    });
    match tab {
        Some(tab) => Problem::new(file, tab, "a tab stands in the indentation")
            .with_hint("indent with spaces".to_owned()),
        None => Problem::new(file, place, message),
    }
}

/// A map or list that is not closed yet.
struct Open {
    anchor: usize,
    span: Span,
    container: Container,
    /// Levels below it.
    height: usize,
    nodes_before: usize,
}

enum Container {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(String, Span)>,
    },
}

struct Anchored {
    node: Node,
    height: usize,
    nodes: usize,
}

struct Builder {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    /// How many of them are copies that aliases stand for.
    copied: usize,
    problems: Problems,
}

impl Builder {
    fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            nodes: 0,
            copied: 0,
            problems: Problems::default(),
        }
    }

    fn finish(self) -> (Node, Problems) {
        let empty = Node {
            file: Arc::clone(&self.file),
            span: Span { line: 1, column: 1 },
            value: Value::Scalar(Scalar {
                text: String::new(),
                plain: true,
            }),
        };
        (self.root.unwrap_or(empty), self.problems)
    }

    fn problem(&self, span: Span, message: impl Into<String>) -> Problem {
        Problem::new(self.file.as_ref(), span, message)
    }

    /// Takes one event. An error means that reading on makes no sense.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = self.read_tag(tag.as_deref(), span)?;
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain && !is_text,
                };
                self.nodes += 1;
                self.check_size(span)?;
                let node = self.node(span, Value::Scalar(scalar));
                self.anchor(anchor, &node, 0, 1);
                self.add(node, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(anchor, tag.as_deref(), span, Container::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let entries = Vec::new();
                let map = Container::Map { entries, key: None };
                self.open(anchor, tag.as_deref(), span, map)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, span),
        }
    }

    fn document(&mut self, span: Span) -> Result<(), Problem> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(self
                .problem(span, "a second YAML document begins here")
                .with_hint("one file holds one document; remove `---`".to_owned()));
        }
        Ok(())
    }

    /// Whether the tag makes the value text.
    fn read_tag(&self, tag: Option<&Tag>, span: Span) -> Result<bool, Problem> {
        let Some(tag) = tag else { return Ok(false) };
        if tag.is_yaml_core_schema() && tag.suffix == "str" {
            return Ok(true);
        }
        Err(self
            .problem(span, format!("the tag `{tag}` is not supported"))
            .with_hint("quote a value to make it text; other tags are not needed".to_owned()))
    }

    fn node(&self, span: Span, value: Value) -> Node {
        Node {
            file: Arc::clone(&self.file),
            span,
            value,
        }
    }

    fn check_size(&self, span: Span) -> Result<(), Problem> {
        if self.nodes > MOST_NODES {
            let message = format!("the file has more than {MOST_NODES} values");
            let hint = match self.copied {
                0 => "split it into several files",
                _ => "aliases (`*name`) count as often as they are used; write less of them",
            };
            return Err(self.problem(span, message).with_hint(hint.to_owned()));
        }
        Ok(())
    }

    fn check_depth(&self, below: usize, span: Span) -> Result<(), Problem> {
        if self.open.len() + below > DEEPEST_NESTING {
            let message = format!("values are nested more than {DEEPEST_NESTING} levels deep");
            return Err(self.problem(span, message));
        }
        Ok(())
    }

    fn open(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
        container: Container,
    ) -> Result<(), Problem> {
        self.read_tag(tag, span)?;
        self.check_depth(1, span)?;
        let nodes_before = self.nodes;
        self.nodes += 1;
        self.check_size(span)?;
        self.open.push(Open {
            anchor,
            span,
            container,
            height: 0,
            nodes_before,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.container {
            Container::List(items) => Value::List(items),
            Container::Map { entries, .. } => Value::Map(entries),
        };
        let node = self.node(open.span, value);
        let height = open.height + 1;
        let nodes = self.nodes - open.nodes_before;
        self.anchor(open.anchor, &node, height, nodes);
        self.add(node, height)
    }

    fn anchor(&mut self, anchor: usize, node: &Node, height: usize, nodes: usize) {
        if anchor > 0 {
            let node = node.clone();
            self.anchors.insert(
                anchor,
                Anchored {
                    node,
                    height,
                    nodes,
                },
            );
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Problem> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(self.problem(span, "an alias stands inside the value that it refers to"));
        };
        let height = anchored.height;
        let nodes = anchored.nodes;
        // Before the value is copied: a few lines of aliases can stand for billions of values.
        self.check_depth(height, span)?;
        self.nodes += nodes;
        self.copied += nodes;
        self.check_size(span)?;
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Ok(());
        };
        let node = anchored.node.clone();
        self.add(node, height)
    }

    /// Puts a finished node where it belongs: a key, a value, an item or the document.
    fn add(&mut self, mut node: Node, height: usize) -> Result<(), Problem> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.height = parent.height.max(height);
        match &mut parent.container {
            Container::List(items) => items.push(node),
            Container::Map { entries, key } => match key.take() {
                None => match &node.value {
                    Value::Scalar(scalar) if !(scalar.plain && scalar.text.is_empty()) => {
                        *key = Some((scalar.text.clone(), node.span));
                    }
                    Value::Scalar(_) => return Err(node.problem("a key is missing before `:`")),
                    Value::List(_) | Value::Map(_) => {
                        return Err(node.problem("a key must be text, not a list or a map"));
                    }
                },
                Some((key, key_span)) => {
                    if node.is_null() {
                        // The parser places an absent value at whatever comes next.
                        node.span = key_span;
                    }
                    match entries.iter().find(|entry| entry.key == key) {
                        Some(first) => {
                            let message = format!(
                                "duplicate key `{key}`; it is on line {} too",
                                first.key_span.line
                            );
                            let problem = Problem::new(self.file.as_ref(), key_span, message);
                            self.problems.push(problem);
                        }
                        None => entries.push(Entry {
                            key,
                            key_span,
                            value: node,
                        }),
                    }
                }
            },
        }
        Ok(())
    }
}

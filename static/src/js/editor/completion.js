// Completion and hover texts of the strategy API, from the list that the page carries (strategies/api_reference.py).

import { snippetCompletion } from "@codemirror/autocomplete";
import { syntaxTree } from "@codemirror/language";
import { hoverTooltip } from "@codemirror/view";

const block = document.getElementById("strategy-api");
const api = block ? JSON.parse(block.textContent) : [];
const TYPES = { hook: "method", module: "namespace", attribute: "property" };

function describe(entry) {
  const box = document.createElement("div");
  box.className = "api-info";
  const title = document.createElement("code");
  const owner = ["self", "data", "candles", "order", "ta"].includes(entry.owner) && entry.kind !== "hook" ? `${entry.owner}.` : "";
  title.textContent = `${owner}${entry.name}${entry.signature.startsWith("(") ? entry.signature : ""}`;
  const text = document.createElement("p");
  text.textContent = entry.doc;
  box.append(title, text);
  return box;
}

function toOption(entry) {
  const isCall = entry.signature.startsWith("(") && entry.kind !== "hook";
  return {
    label: entry.name,
    type: TYPES[entry.kind] ?? entry.kind,
    detail: isCall ? "()" : entry.kind === "hook" ? "hook" : entry.signature,
    info: () => describe(entry),
    boost: 20,
  };
}

const namesOf = (owner) => api.filter((entry) => entry.owner === owner);
const optionsOf = (owner) => namesOf(owner).map(toOption);
const members = {
  self: namesOf("self").filter((entry) => entry.kind !== "hook").map(toOption),
  data: optionsOf("data"),
  candles: optionsOf("candles"),
  order: optionsOf("order"),
  ta: optionsOf("ta"),
};
const globals = optionsOf("global");
const indicator = optionsOf("indicator");
const hooks = namesOf("self")
  .filter((entry) => entry.kind === "hook")
  .map((entry) =>
    snippetCompletion(`${entry.name}${entry.signature}:\n    \${}`, {
      label: entry.name,
      type: "method",
      detail: entry.signature,
      info: () => describe(entry),
      boost: 30,
    }),
  );
const keywordsOf = new Map(
  api
    .filter((entry) => entry.owner === "self" && entry.kind === "method")
    .map((entry) => [entry.name, [...entry.signature.matchAll(/(\w+)=/g)].map((match) => match[1])]),
);

// What the source itself keeps on self: `self.fast_sma = ...` and class-level names.
function ownNames(text) {
  const names = new Set();
  for (const match of text.matchAll(/\bself\.([A-Za-z_]\w*)\s*(?:=(?!=)|:|\+=|-=)/g)) names.add(match[1]);
  for (const match of text.matchAll(/^(?:    |\t)([A-Za-z_]\w*)\s*(?::[^=\n]+)?=(?!=)/gm)) names.add(match[1]);
  for (const match of text.matchAll(/^(?:    |\t)def\s+([A-Za-z_]\w*)/gm)) names.add(match[1]);
  return names;
}

function completeMember(context, before) {
  const [, owner] = /([\w.]+)\.(\w*)$/.exec(before.text);
  const from = before.from + before.text.lastIndexOf(".") + 1;
  const validFor = /^\w*$/;
  if (owner === "self") {
    const known = new Set(namesOf("self").map((entry) => entry.name));
    const own = [...ownNames(context.state.doc.toString())].filter((name) => !known.has(name));
    const options = [...members.self, ...own.map((name) => ({ label: name, type: "property", detail: "yours", boost: 25 }))];
    return { from, options, validFor };
  }
  if (members[owner]) return { from, options: members[owner], validFor };
  if (owner.startsWith("self.")) return { from, options: indicator, validFor };
  return null;
}

// Inside self.buy( ... ): the names of its arguments.
function argumentNames(context) {
  for (let node = syntaxTree(context.state).resolveInner(context.pos, -1); node; node = node.parent) {
    if (node.name !== "ArgList") continue;
    const callee = node.parent?.firstChild;
    const text = callee ? context.state.sliceDoc(callee.from, callee.to) : "";
    const names = text.startsWith("self.") ? keywordsOf.get(text.slice(5)) : undefined;
    return (names ?? []).map((name) => ({ label: `${name}=`, type: "variable", detail: "argument", boost: 40 }));
  }
  return [];
}

function isInText(context) {
  const name = syntaxTree(context.state).resolveInner(context.pos, -1).name;
  return name === "Comment" || name === "String" || name === "FormatString";
}

// One function, the same object for ever: CodeMirror takes another function for another source.
export function completeStrategy(context) {
  if (isInText(context)) return null;
  const member = context.matchBefore(/[A-Za-z_][\w.]*\.\w*/);
  if (member) return completeMember(context, member);
  const afterDef = context.matchBefore(/def\s+\w*/);
  if (afterDef) {
    return { from: afterDef.from + /def\s+/.exec(afterDef.text)[0].length, options: hooks, validFor: /^\w*$/ };
  }
  const word = context.matchBefore(/[A-Za-z_]\w*/);
  if (!word && !context.explicit) return null;
  return { from: word ? word.from : context.pos, options: [...argumentNames(context), ...globals], validFor: /^\w*$/ };
}

export const strategyHover = hoverTooltip((view, pos) => {
  const line = view.state.doc.lineAt(pos);
  for (const match of line.text.matchAll(/([A-Za-z_]\w*\.)?([A-Za-z_]\w*)/g)) {
    const from = line.from + match.index + (match[1]?.length ?? 0);
    if (pos < from || pos > from + match[2].length) continue;
    const owner = match[1]?.slice(0, -1);
    const entry = api.find((candidate) => {
      if (candidate.name !== match[2]) return false;
      return candidate.owner === (owner ?? "global") || (!owner && candidate.kind === "hook");
    });
    if (!entry) return null;
    return { pos: from, end: from + match[2].length, create: () => ({ dom: hoverBox(entry) }) };
  }
  return null;
});

function hoverBox(entry) {
  const box = describe(entry);
  box.classList.add("api-hover");
  return box;
}

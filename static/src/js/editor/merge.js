// The conflict page: the saved text on the left, the unsaved one on the right, changes taken over by a click.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";

import { dropDraft, keepDraft } from "./draft.js";
import { codeSetup, followTheme } from "./setup.js";

const COLLAPSE = { margin: 4, minSize: 8 };

function takeOverButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "take-over";
  button.textContent = "→";
  button.title = "Take this over into your text";
  button.setAttribute("aria-label", button.title);
  return button;
}

function choiceButton(type, action) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-small";
  button.textContent = type === "accept" ? "Keep mine" : "Take saved";
  button.addEventListener("mousedown", action);
  return button;
}

// Side by side where there is room; else one text, with what the saved version says marked in it.
function openViews(parent, theirs, mine, setup, editable) {
  if (matchMedia("(max-width: 720px)").matches) {
    const view = new EditorView({
      parent,
      doc: mine,
      extensions: [
        setup("Your text"),
        editable,
        unifiedMergeView({ original: theirs, collapseUnchanged: COLLAPSE, mergeControls: choiceButton }),
      ],
    });
    followTheme(view);
    return { view, isWide: false };
  }
  const merge = new MergeView({
    parent,
    a: { doc: theirs, extensions: [setup("Saved version"), EditorState.readOnly.of(true)] },
    b: { doc: mine, extensions: [setup("Your text"), editable] },
    revertControls: "a-to-b",
    renderRevertControl: takeOverButton,
    collapseUnchanged: COLLAPSE,
  });
  followTheme(merge.a);
  followTheme(merge.b);
  return { view: merge.b, isWide: true };
}

export function openMerge(form) {
  const { cspNonce, draft } = form.dataset;
  const textarea = form.elements.source;
  const basedOn = Number(form.elements.based_on.value);
  const editable = [
    history(),
    keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) keepDraft(draft, update.state.doc.toString(), basedOn);
    }),
  ];
  const host = form.querySelector(".merge-host");
  const theirs = document.getElementById("theirs").value;
  const { view, isWide } = openViews(host, theirs, textarea.value, (label) => codeSetup(cspNonce, label), editable);
  host.hidden = false;
  form.querySelector(".merge-heads").hidden = !isWide;
  form.querySelector("[data-merge-plain]").hidden = true;

  let isLeaving = false;
  const leave = () => {
    isLeaving = true;
    dropDraft(draft);
  };
  form.addEventListener("submit", () => {
    textarea.value = view.state.doc.toString();
    isLeaving = true;
  });
  document.querySelector("[data-drop-draft]")?.addEventListener("click", leave);
  addEventListener("beforeunload", (event) => {
    if (!isLeaving) event.preventDefault();
  });
}

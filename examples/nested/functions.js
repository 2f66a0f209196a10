// What the checks of a chapter need to know of it.

import { Failure, serve } from "../kit/functions.js";

async function countWords({ text }) {
  if (typeof text !== "string") throw new Failure("InvalidChapter", "the chapter has no text");
  return { words: (text.match(/\p{L}+/gu) ?? []).length };
}

await serve({ "count-words": countWords });

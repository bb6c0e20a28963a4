// The files family: ten ways to look at and change the text files of a workspace.

import type { Tool } from "../tool.ts";
import { diffTool } from "./diff.ts";
import { editTool } from "./edit.ts";
import { deleteTool, mkdirTool } from "./folder.ts";
import { infoTool } from "./info.ts";
import { listTool } from "./list.ts";
import { readTool } from "./read.ts";
import { searchTool } from "./search.ts";
import { appendTool, writeTool } from "./write.ts";

export const fileTools: readonly Tool[] = [
  readTool,
  listTool,
  searchTool,
  infoTool,
  diffTool,
  writeTool,
  appendTool,
  editTool,
  deleteTool,
  mkdirTool,
];

/** What became of a call. `output` is the result, or says what went wrong; `error.code` is for programs. */
type ToolResult<T> =
  | { success: true; output: T; error?: undefined }
  | { success: false; output: string; error: { code: string; message: string } };

type PlainInput = {
  /** What to read. */
  path: string;
  /** integer, 1 to 2000, default 200 */
  limit?: number;
};
type PlainOutput = { text: string };

type NothingInput = { [key: string]: never };

type AnythingInput = { [key: string]: unknown };

type AlwaysInput = unknown;
type AlwaysOutput = unknown;

type ImpossibleInput = never;
type ImpossibleOutput = never;

type NoSchemaInput = unknown;
type NoSchemaOutput = unknown;

type ChoiceInput = {
  unit: "c" | "f" | null | 1 | -2.5 | 1e+300 | true | { a: [1, "x"] } | { [key: string]: never } | [];
  one?: "*/ \u2028 \" ' ` ${x} \\";
  kind?: "a";
  none?: never;
};

type QuotedInput = {
  "a-b"?: string;
  "2nd": number;
  "": string;
  "ä"?: string;
  __proto__?: string;
  constructor?: string;
  new: string;
  get?: string;
  readonly?: string;
  static?: string;
  "*/"?: string;
  "x\u202ey"?: string;
  "a\nb"?: string;
  "'\"`"?: string;
  $ok?: string;
  "a?"?: string;
  "[key: string]"?: string;
  "not there": unknown;
};

type ListsInput = {
  a?: unknown[];
  b?: string[];
  c?: (string | null)[];
  /** at least 2 items */
  d?: [number, string];
  e?: [number?, (string | null)?, ...boolean[]];
  f?: [number?, string?];
  g?: [];
  h?: {
    /** X. */
    x?: number;
  }[];
  i?: number[];
  /** at most 1 item */
  j?: [number?];
};

type MapsInput = {
  a?: { [key: string]: string };
  b?: { n?: number; [key: string]: string | number | undefined };
  c?: {
    n: {
      /** D. */
      deep?: string;
    };
    [key: string]: unknown;
  };
  d?: { [key: string]: number | string };
  e?: { k: string; [key: string]: unknown };
  f?: { [key: string]: { z?: number } };
  g?: { must: unknown };
};

type UnionsInput = {
  a?: string | number | null;
  b?: { kind: "x"; v?: number } | { kind: "y"; w?: string };
  c?: never;
  d?: unknown;
  e?: { p?: string } | { q?: string };
  f?: string;
  /** integer */
  g?: string | number | null;
  h?: never;
  i?: string | null;
  j?: never;
  k?: unknown;
  l?: unknown;
  m?: unknown;
  /** integer, at least 3, default null */
  n?: number | null;
};

type EitherInput = { url?: string; text?: string } & ({ url: unknown } | { text: unknown });

type AllInput = { a: string } & ({ b?: string } | { c: number }) & AllInput_D;
type AllInput_D = { d?: boolean };

type TreeInput = TreeInput_Node;
type TreeInput_Node = { name: string; children?: TreeInput_Node[]; left?: TreeInput_Node | null };
type TreeOutput = TreeOutput_Node;
type TreeOutput_Node = { up?: TreeOutput };

type SelfInput = {
  me?: SelfInput;
  all?: SelfInput[];
  map?: { [key: string]: SelfInput };
  t?: [SelfInput?, ...unknown[]];
};

type LoopInput = unknown;

type LoopsInput = { x?: LoopsInput_A; y?: LoopsInput_C };
type LoopsInput_B = unknown;
type LoopsInput_A = LoopsInput_B;
type LoopsInput_C = { q?: LoopsInput_C };

type JsonInput = { v?: JsonInput_Json };
type JsonInput_Json = string | number | boolean | null | JsonInput_Json[] | { [key: string]: JsonInput_Json };

type RefsInput = {
  a?: unknown;
  b?: RefsInput_AB;
  c?: unknown;
  d?: unknown;
  e?: RefsInput_F;
  f?: number;
  g?: unknown;
  h?: RefsInput_Same;
  i?: RefsInput_Same2;
  /** With words */
  j?: RefsInput_AB;
};
type RefsInput_AB = string;
type RefsInput_F = number;
type RefsInput_Same = string;
type RefsInput_Same2 = number;

type NewInput = { x: string };
type NewOutput = string;

type ConstructorInput = { x: string };
type ConstructorOutput = string;

type ThenInput = { x: string };
type ThenOutput = string;

type ProtoInput = { x: string };
type ProtoOutput = string;

type AB3Input = { [key: string]: unknown };

type ABInput = { [key: string]: unknown };

type AB4Input = { [key: string]: unknown };

type AB5Input = { [key: string]: unknown };

type AB2Input = { [key: string]: unknown };

type _3dInput = { [key: string]: unknown };

type ToolInput = { [key: string]: unknown };

type Tool2Input = { [key: string]: unknown };

type MIDI2Input = { [key: string]: unknown };

type MIDI3Input = { q: unknown };

type ToolResultInput = { [key: string]: unknown };

type ToolResult2Input = { [key: string]: unknown };

type NamesInput = {
  a?: NamesInput_XY;
  b?: NamesInput_XY2;
  c?: NamesInput__3;
  d?: NamesInput_Tool;
  e?: NamesInput_Tool2;
};
type NamesInput_XY = string;
type NamesInput_XY2 = number;
type NamesInput__3 = string;
type NamesInput_Tool = number;
type NamesInput_Tool2 = string;

type CommentsInput = {
  /** *\/ evil(); /* (*\/, matches ^*\/$, default "*\/") */
  a?: string;
  /** @ ts-expect-error */
  b?: string;
  /**
   * a\u{0}\u{1b}[2J\u{202e}
   * b
   * c\u{2028}d
   */
  c?: unknown;
  /** 1 to 64 characters, matches ^[a-z]+$, deprecated */
  d?: string;
  /** at least 1 item, all different */
  e?: string[];
  /** more than 0, a multiple of 5 */
  f?: number;
  g?: unknown;
  /** ** */
  h?: unknown;
  /** / */
  i?: unknown;
};

type ConditionalInput = { a?: string };

type ContradictionInput = { a?: never; b?: 1 & 2 } & string & number;

type OneOfManyInput = { op: "add"; n: number } | { op: "clear" };

type NestedChainInput = { x?: NestedChainInput_A; y?: NestedChainInput_A };
type NestedChainInput_A = { k?: NestedChainInput_B };
type NestedChainInput_B = "p" | "q";

type SpreadInput = {
  a?: { x?: string }[] | null;
  b?: SpreadInput_N | { x: unknown };
  c?: { x?: string; y?: string } & ({ x: unknown } | { y: unknown });
  /** integer, at least 0 */
  d?: number | null;
  e?: unknown;
};
type SpreadInput_N = null;

type DeleteInput = { [key: string]: unknown };

type ClassInput = { [key: string]: unknown };

type FunctionInput = { [key: string]: unknown };

type TypeofInput = { [key: string]: unknown };

type ImportInput = { [key: string]: unknown };

type AwaitInput = { [key: string]: unknown };

type GetInput = { [key: string]: unknown };

type SetInput = { [key: string]: unknown };

type StaticInput = { [key: string]: unknown };

type ReadonlyInput = { [key: string]: unknown };

type DefaultInput = { [key: string]: unknown };

type EnumInput = { [key: string]: unknown };

type AnyInput = { [key: string]: unknown };

type UnknownInput = { [key: string]: unknown };

type NeverInput = { [key: string]: unknown };

type TypeInput = { [key: string]: unknown };

type DeclareInput = { [key: string]: unknown };

type AsyncInput = { [key: string]: unknown };

type AbstractInput = { [key: string]: unknown };

type KeyofInput = { [key: string]: unknown };

type PrototypeInput = { [key: string]: unknown };

type ToStringInput = { [key: string]: unknown };

/** The tools. Several calls can be under way at the same time. */
declare const api: {
  plain(input: PlainInput): Promise<ToolResult<PlainOutput>>;
  nothing(input?: NothingInput): Promise<ToolResult<unknown>>;
  anything(input?: AnythingInput): Promise<ToolResult<unknown>>;
  always(input?: AlwaysInput): Promise<ToolResult<AlwaysOutput>>;
  impossible(input: ImpossibleInput): Promise<ToolResult<ImpossibleOutput>>;
  no_schema(input?: NoSchemaInput): Promise<ToolResult<NoSchemaOutput>>;
  choice(input: ChoiceInput): Promise<ToolResult<unknown>>;
  quoted(input: QuotedInput): Promise<ToolResult<unknown>>;
  lists(input?: ListsInput): Promise<ToolResult<unknown>>;
  maps(input?: MapsInput): Promise<ToolResult<unknown>>;
  unions(input?: UnionsInput): Promise<ToolResult<unknown>>;
  either(input: EitherInput): Promise<ToolResult<unknown>>;
  all(input: AllInput): Promise<ToolResult<unknown>>;
  tree(input: TreeInput): Promise<ToolResult<TreeOutput>>;
  self(input?: SelfInput): Promise<ToolResult<unknown>>;
  loop(input: LoopInput): Promise<ToolResult<unknown>>;
  loops(input?: LoopsInput): Promise<ToolResult<unknown>>;
  json(input?: JsonInput): Promise<ToolResult<unknown>>;
  refs(input?: RefsInput): Promise<ToolResult<unknown>>;
  "new"(input: NewInput): Promise<ToolResult<NewOutput>>;
  constructor(input: ConstructorInput): Promise<ToolResult<ConstructorOutput>>;
  then(input: ThenInput): Promise<ToolResult<ThenOutput>>;
  __proto__(input: ProtoInput): Promise<ToolResult<ProtoOutput>>;
  /**
   * Ends *\/ here. /* and ` ${x} //
   * @ ts-ignore
   * @ ts-expect-error
   * /// <reference path='x'/>
   * @jsx h
   */
  a_b_3(input?: AB3Input): Promise<ToolResult<unknown>>;
  a_b(input?: ABInput): Promise<ToolResult<unknown>>;
  a_b_4(input?: AB4Input): Promise<ToolResult<unknown>>;
  a_b_5(input?: AB5Input): Promise<ToolResult<unknown>>;
  a_b_2(input?: AB2Input): Promise<ToolResult<unknown>>;
  _3d(input?: _3dInput): Promise<ToolResult<unknown>>;
  __(input?: ToolInput): Promise<ToolResult<unknown>>;
  _(input?: Tool2Input): Promise<ToolResult<unknown>>;
  m_i_d_i(input?: MIDI2Input): Promise<ToolResult<unknown>>;
  MIDI(input: MIDI3Input): Promise<ToolResult<unknown>>;
  ToolResult(input?: ToolResultInput): Promise<ToolResult<unknown>>;
  tool_result(input?: ToolResult2Input): Promise<ToolResult<unknown>>;
  names(input?: NamesInput): Promise<ToolResult<unknown>>;
  comments(input?: CommentsInput): Promise<ToolResult<unknown>>;
  conditional(input: ConditionalInput): Promise<ToolResult<unknown>>;
  contradiction(input?: ContradictionInput): Promise<ToolResult<unknown>>;
  one_of_many(input: OneOfManyInput): Promise<ToolResult<unknown>>;
  nested_chain(input?: NestedChainInput): Promise<ToolResult<unknown>>;
  spread(input?: SpreadInput): Promise<ToolResult<unknown>>;
  delete(input?: DeleteInput): Promise<ToolResult<unknown>>;
  class(input?: ClassInput): Promise<ToolResult<unknown>>;
  function(input?: FunctionInput): Promise<ToolResult<unknown>>;
  typeof(input?: TypeofInput): Promise<ToolResult<unknown>>;
  import(input?: ImportInput): Promise<ToolResult<unknown>>;
  await(input?: AwaitInput): Promise<ToolResult<unknown>>;
  get(input?: GetInput): Promise<ToolResult<unknown>>;
  set(input?: SetInput): Promise<ToolResult<unknown>>;
  static(input?: StaticInput): Promise<ToolResult<unknown>>;
  readonly(input?: ReadonlyInput): Promise<ToolResult<unknown>>;
  default(input?: DefaultInput): Promise<ToolResult<unknown>>;
  enum(input?: EnumInput): Promise<ToolResult<unknown>>;
  any(input?: AnyInput): Promise<ToolResult<unknown>>;
  unknown(input?: UnknownInput): Promise<ToolResult<unknown>>;
  never(input?: NeverInput): Promise<ToolResult<unknown>>;
  type(input?: TypeInput): Promise<ToolResult<unknown>>;
  declare(input?: DeclareInput): Promise<ToolResult<unknown>>;
  async(input?: AsyncInput): Promise<ToolResult<unknown>>;
  abstract(input?: AbstractInput): Promise<ToolResult<unknown>>;
  keyof(input?: KeyofInput): Promise<ToolResult<unknown>>;
  prototype(input?: PrototypeInput): Promise<ToolResult<unknown>>;
  toString(input?: ToStringInput): Promise<ToolResult<unknown>>;
};

// What was read of the declarations, made ready for readers: without what says nothing to them, and in the order in which they ask.
import { Comment, LiteralType, ReflectionKind, UnionType } from 'typedoc'

const ORDER = [
  ReflectionKind.Function,
  ReflectionKind.Class,
  ReflectionKind.Interface | ReflectionKind.TypeAlias,
]

/** `exported` has the names that each module exports, by the module's name. */
export function tidy(project, exported) {
  for (const one of Object.values(project.reflections)) {
    one.type = spelledOut(one.type) ?? one.type
    // TypeDoc makes that of a constraint that is a condition.
    if (one.kind === ReflectionKind.TypeParameter && one.type?.name === 'never') one.type = undefined
    // Taken apart where the function begins.
    if (one.kind === ReflectionKind.Parameter && one.name === '__namedParameters') one.name = 'options'
  }
  for (const one of Object.values(project.reflections).filter(saysNothing)) project.removeReflection(one)
  for (const one of Object.values(project.reflections)) {
    for (const group of one.groups ?? [])
      group.children = group.children.filter((child) => one.children?.includes(child))
    one.groups = one.groups?.filter((group) => group.children.length > 0)
  }
  for (const module of project.children) arrange(module, exported.get(module.name))
}

/** The words themselves, where a type takes them from a list or table that nobody sees. */
function spelledOut(type) {
  if (type?.type === 'indexedAccess') {
    const list = queried(type.objectType)
    const elements = (list?.target ?? list)?.elements
    return elements && new UnionType(elements)
  }
  if (type?.type === 'typeOperator' && type.operator === 'keyof') {
    const fields = queried(type.target)?.declaration?.children
    return fields && new UnionType(fields.map(({ name }) => new LiteralType(name)))
  }
}

function queried(type) {
  return type.type === 'query' ? type.queryType.reflection?.type : undefined
}

function saysNothing(one) {
  switch (one.kind) {
    case ReflectionKind.Parameter:
      return one.name === 'this'
    case ReflectionKind.Variable:
      return true
    case ReflectionKind.Property:
      // Of types only.
      return one.name.startsWith('~') || isRepeated(one)
    case ReflectionKind.TypeAlias:
      // The declarations have it in each file that needs it.
      return one.name === 'Json' && one !== one.parent.children.find(({ name }) => name === 'Json')
    default:
      return isRepeated(one)
  }
}

/** Whether it is inherited from what has a place of its own here, or is known to everybody. */
function isRepeated({ inheritedFrom, kind, name, parent }) {
  if (inheritedFrom === undefined) return false
  if (kind === ReflectionKind.Constructor) return true
  return parent.extendedTypes?.some(({ reflection }) =>
    reflection?.children?.some((one) => one.name === name),
  )
}

/** What is called comes first, what cannot be imported last. */
function arrange(module, exported) {
  const [group, ...others] = module.groups
  const all = [group, ...others].flatMap(({ children }) => children)
  const rank = (one) => {
    const kind = ORDER.findIndex((kinds) => one.kindOf(kinds))
    return (exported.has(one.name) ? 0 : ORDER.length + 1) + (kind < 0 ? ORDER.length : kind)
  }
  group.children = all.toSorted((a, b) => rank(a) - rank(b))
  module.groups = [group]
  for (const one of group.children) {
    if (exported.has(one.name)) continue
    one.comment ??= new Comment()
    const space = one.comment.summary.length > 0 ? ' ' : ''
    one.comment.summary.unshift({ kind: 'text', text: `*Not exported by name.*${space}` })
  }
}

// How pages of the reference differ from what the generator makes by itself: they say nothing twice.
import { ReflectionKind } from 'typedoc'
import { MarkdownTheme, MarkdownThemeContext } from 'typedoc-plugin-markdown'

export class CompactTheme extends MarkdownTheme {
  getRenderContext(page) {
    return new CompactContext(this, page, this.application.options)
  }
}

class CompactContext extends MarkdownThemeContext {
  constructor(...given) {
    super(...given)
    const { declarationTitle } = this.partials
    this.partials = {
      ...this.partials,
      // It is in the signature.
      signatureReturns: () => '',
      inheritance: () => '',
      hierarchy: ({ isTarget, types }) =>
        isTarget
          ? ''
          : `Extends ${types.map((type) => this.helpers.getHierarchyType(type, { isTarget })).join(', ')}.`,
      // The table that follows has its fields.
      declarationTitle: (model) =>
        model.kind === ReflectionKind.TypeAlias && model.children ? '' : declarationTitle(model),
    }
  }
}

const CONTROL_PICTURES = 0x2400
const DELETE_PICTURE = '\u2421'

/** The text with control characters (but tab and line feed) as the signs that stand for them: escape as ␛. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (character) =>
    character === '\u007f' ? DELETE_PICTURE : String.fromCharCode(CONTROL_PICTURES + character.charCodeAt(0)),
  )
}

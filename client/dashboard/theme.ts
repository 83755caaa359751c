import {
  Button,
  type CSSVariablesResolver,
  createTheme,
  type MantineColorsTuple,
  ModalRoot,
  Tabs,
  Tooltip,
} from '@mantine/core'

/** The one accent colour: what is live, what is chosen, what has the focus. */
const cobalt: MantineColorsTuple = [
  '#ecf1ff',
  '#d5e0ff',
  '#adc1ff',
  '#94aeff',
  '#7598ff',
  '#5f86ff',
  '#2f5bea',
  '#2a52d6',
  '#2245b8',
  '#1b3996',
]

/** The greys from text to the deepest ground, for what Mantine paints itself; the same family as `styles/tokens.css`. */
const night: MantineColorsTuple = [
  '#d3d7de',
  '#bcc2cc',
  '#8f96a3',
  '#69707d',
  '#3a404b',
  '#2b303a',
  '#191c22',
  '#121418',
  '#0e1013',
  '#0b0c0f',
]

export const theme = createTheme({
  primaryColor: 'cobalt',
  primaryShade: { light: 6, dark: 5 },
  colors: { cobalt, dark: night },
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', sans-serif",
  fontFamilyMonospace: 'var(--jc-mono)',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '19px' },
  lineHeights: { xs: '1.4', sm: '1.45', md: '1.5', lg: '1.5', xl: '1.4' },
  defaultRadius: 'md',
  radius: { xs: '4px', sm: '6px', md: '8px', lg: '12px', xl: '16px' },
  headings: {
    fontWeight: '620',
    sizes: {
      h1: { fontSize: '26px', lineHeight: '1.2' },
      h2: { fontSize: '15px', lineHeight: '1.4' },
      h3: { fontSize: '14px', lineHeight: '1.4' },
    },
  },
  cursorType: 'pointer',
  respectReducedMotion: true,
  focusRing: 'auto',
  components: {
    Button: Button.extend({
      defaultProps: { size: 'sm' },
      styles: { label: { fontWeight: 550 } },
      vars: (_theme, props) => (isPrimary(props) ? { root: INK_BUTTON } : { root: {} }),
    }),
    ModalRoot: ModalRoot.extend({ defaultProps: { centered: true, radius: 'lg' } }),
    Tabs: Tabs.extend({ defaultProps: { color: 'cobalt' } }),
    Tooltip: Tooltip.extend({
      defaultProps: { openDelay: 250, events: { hover: true, focus: true, touch: true } },
    }),
  },
})

/** The main action is ink on paper: the accent stays free for what is live. */
const INK_BUTTON = {
  '--button-bg': 'var(--jc-ink)',
  '--button-hover': 'var(--jc-ink-hover)',
  '--button-color': 'var(--jc-on-ink)',
}

function isPrimary(props: { variant?: string | undefined; color?: string | undefined }): boolean {
  return (props.variant === undefined || props.variant === 'filled') && props.color === undefined
}

/** Mantine's own surfaces and texts take the page's colours, which follow the scheme by themselves. */
const surfaces = {
  '--mantine-color-body': 'var(--jc-surface)',
  '--mantine-color-text': 'var(--jc-text)',
  '--mantine-color-dimmed': 'var(--jc-muted)',
  '--mantine-color-placeholder': 'var(--jc-faint)',
  '--mantine-color-anchor': 'var(--jc-accent-text)',
  '--mantine-color-error': 'var(--jc-red-text)',
  '--mantine-color-default': 'var(--jc-surface)',
  '--mantine-color-default-hover': 'var(--jc-hover)',
  '--mantine-color-default-color': 'var(--jc-text)',
  '--mantine-color-default-border': 'var(--jc-border)',
}

export const cssVariables: CSSVariablesResolver = () => ({ variables: {}, light: surfaces, dark: surfaces })

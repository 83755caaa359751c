import { Component, type ReactNode } from 'react'
import { Notice } from './notice.tsx'

interface State {
  readonly message: string | null
}

/** What is shown in place of a page that threw while rendering. */
export class Crash extends Component<{ children: ReactNode }, State> {
  override state: State = { message: null }

  static getDerivedStateFromError(error: unknown): State {
    return { message: error instanceof Error ? error.message : String(error) }
  }

  override render() {
    if (this.state.message === null) return this.props.children
    return (
      <Notice
        tone="bad"
        isPage
        title="This page broke"
        text={this.state.message}
        action={{ label: 'Load it again', run: () => location.reload() }}
      />
    )
  }
}

import { MantineProvider } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import { Notifications } from '@mantine/notifications'
import { IconMapOff } from '@tabler/icons-react'
import { Redirect, Route, Router, Switch, useLocation } from 'wouter'
import { ApiKeyProvider } from './api-key.tsx'
import { EmptyState, ErrorBoundary } from './common/notices.tsx'
import { HomePage } from './home/home-page.tsx'
import { JobPage } from './job/job-page.tsx'
import { OverviewPage } from './overview/overview-page.tsx'
import { ROOT } from './root.ts'
import { type NavEntry, Shell } from './shell.tsx'
import { cssVariables, theme } from './theme.ts'

/** The pages that the header leads to; all of them have a route below. */
const NAV: readonly NavEntry[] = [
  { href: '/', label: 'Jobs', below: '/jobs/:id' },
  { href: '/overview', label: 'Overview' },
]

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <Notifications position="bottom-right" autoClose={6000} />
      <Router base={new URL(ROOT).pathname.replace(/\/$/, '')}>
        <ApiKeyProvider>
          <Shell nav={NAV}>
            <ErrorBoundary>
              <Switch>
                <Route path="/" component={HomePage} />
                <Route path="/jobs">
                  <Redirect to="/" replace />
                </Route>
                {/* Another job is another page: nothing of the last one may show through. */}
                <Route path="/jobs/:id">{({ id }) => <JobPage key={id} jobId={id} />}</Route>
                <Route path="/overview" component={OverviewPage} />
                <Route component={NowherePage} />
              </Switch>
            </ErrorBoundary>
          </Shell>
        </ApiKeyProvider>
      </Router>
    </MantineProvider>
  )
}

function NowherePage() {
  useDocumentTitle('Not found · Jobcast')
  const [, navigate] = useLocation()
  return (
    <EmptyState
      icon={<IconMapOff size={22} stroke={1.5} />}
      isPage
      title="There is no such page"
      text="The address may be misspelt."
      action={{ label: 'To the jobs', run: () => navigate('/') }}
    />
  )
}

import './style.css'
import { JobcastProvider } from 'jobcast/react'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Ask } from './ask'

const root = document.getElementById('root')
if (root === null) throw new Error('the page has no #root')
createRoot(root).render(
  <StrictMode>
    <JobcastProvider baseUrl="/jobcast">
      <Ask />
    </JobcastProvider>
  </StrictMode>,
)
